-- title: Effect of weight decay, on matched pairs
-- question: What does more weight decay do to FPR and AUROC, all else equal?
-- finding: Weight decay changes feature norms, and with them what Mahalanobis sees.
-- topic: recipes
-- plot: x=mean_difference y=detector color=to_value
-- param benchmark text = main: The benchmark
-- param aggregation text = class_mean {class_mean, pooled}: How the OOD classes of a set are put together
-- column ood_dataset: The OOD set
-- column detector: The detector's name
-- column from_value: Value in the first model of each pair; null in a row that only counts models left out
-- column to_value: Value in the second
-- column pairs: Pairs of models that differ in this ingredient alone
-- column mean_difference: Mean of fpr95 with to_value minus fpr95 with from_value; below zero, to_value is better
-- column low: Lower end of the 95 % interval of the mean (Student's t); null for a single pair
-- column high: Its upper end
-- column improved: Pairs in which to_value has the lower fpr95
-- column worsened: Pairs in which it has the higher
-- column p: Two-sided p of the sign test on improved and worsened; pairs without a difference do not count
-- column mean_auroc_difference: The same difference for auroc
-- column left_out: Models in no pair because their value is not known (null)
select
    ood_dataset, detector, from_value, to_value, pairs, mean_difference, low, high, improved, worsened, p,
    mean_auroc_difference, left_out
from effects
where ingredient = 'weight_decay' and benchmark = $benchmark and aggregation = $aggregation
order by ood_dataset, round(mean_difference, 9) nulls last, detector, from_value, to_value
