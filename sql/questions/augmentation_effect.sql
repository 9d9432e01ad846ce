-- title: Effect of augmentation, on matched pairs
-- question: What does another augmentation of the training images do to FPR and AUROC, all else equal?
-- asked because: The AugReg checkpoints come in seven augmentations; the one that serves accuracy need not serve OOD detection.
-- topic: recipes
-- plot: x=mean_difference y=detector color=to_value
-- param metric text = fpr95 {fpr95, auroc, aupr_in, aupr_out}: The metric that is shown
-- param benchmark text = main: The benchmark
-- param aggregation text = class_mean {class_mean, pooled}: How the OOD classes of a set are put together
-- columns effects_of: ood_dataset, detector, from_value, to_value, pairs, mean_difference, low, high, improved, worsened,
--   p, mean_auroc_difference, left_out, clusters, p_mean, p_holm
select * exclude (ingredient, benchmark, aggregation, from_mean)
from effects_of($metric, ingredient_ := 'augmentation')
where ingredient = 'augmentation' and benchmark = $benchmark and aggregation = $aggregation
order by ood_dataset, round(mean_difference, 9) nulls last, detector, from_value, to_value
