-- title: Effect of pretraining, on matched pairs
-- question: What does another pretraining do to FPR and AUROC, all else equal?
-- finding: The exact type of pretraining has a strong impact on OOD detection performance in general (arXiv 2405.17447,
--   abstract).
-- topic: recipes
-- plot: x=mean_difference y=detector color=to_value
-- param benchmark text = main: The benchmark
-- param aggregation text = class_mean {class_mean, pooled}: How the OOD classes of a set are put together
-- columns effects: ood_dataset, detector, from_value, to_value, pairs, mean_difference, low, high, improved, worsened,
--   p, mean_auroc_difference, left_out, clusters, p_mean, p_holm
select * exclude (ingredient, benchmark, aggregation, from_fpr95)
from effects
where ingredient = 'pretraining' and benchmark = $benchmark and aggregation = $aggregation
order by ood_dataset, round(mean_difference, 9) nulls last, detector, from_value, to_value
