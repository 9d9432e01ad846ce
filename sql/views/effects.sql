-- title: Effects: what changing one ingredient of the recipe does to FPR, all else equal, over matched pairs of recipes
-- columns effects_of: ingredient, benchmark, aggregation, ood_dataset, detector, from_value, to_value, pairs
-- column mean_difference: Mean of fpr95 with to_value minus fpr95 with from_value; below zero, to_value is better. Each cluster
--   of pairs counts once, by its mean
-- columns effects_of: low, high
-- column improved: Pairs in which to_value has the lower fpr95
-- column worsened: Pairs in which it has the higher
-- columns effects_of: p, mean_auroc_difference, left_out, clusters, p_mean, p_holm
-- column from_fpr95: Mean of fpr95 with from_value, over clusters
select * rename (from_mean as from_fpr95) from effects_of('fpr95')
