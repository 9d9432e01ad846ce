-- title: Effect of the finetuning learning rate, on matched pairs
-- question: What does a larger finetuning learning rate do to FPR and AUROC, all else equal?
-- finding: A larger learning rate forgets more of the pretraining.
-- topic: recipes
-- param benchmark text = main: The benchmark
-- param aggregation text = class_mean {class_mean, pooled}: How the OOD classes of a set are put together
-- column ood_dataset: The OOD set
-- column detector: The detector's name
-- column from_value: Value of the ingredient in the first model of each pair
-- column to_value: Its value in the second
-- column pairs: Pairs of models that differ in this ingredient alone
-- column mean_difference: Mean of fpr95 with to_value minus fpr95 with from_value; below zero, to_value is better
-- column low: Lower end of the 95 % interval of the mean (normal approximation); null for a single pair
-- column high: Its upper end
-- column improved: Pairs in which to_value has the lower fpr95
-- column mean_auroc_difference: The same difference for auroc
select
    ood_dataset,
    detector,
    first_value as from_value,
    second_value as to_value,
    count(*) as pairs,
    avg(fpr95_difference) as mean_difference,
    mean_difference - 1.96 * stddev_samp(fpr95_difference) / sqrt(count(*)) as low,
    mean_difference + 1.96 * stddev_samp(fpr95_difference) / sqrt(count(*)) as high,
    count(*) filter (where fpr95_difference < 0) as improved,
    avg(auroc_difference) as mean_auroc_difference
from paired_differences
where ingredient = 'finetune_lr' and benchmark = $benchmark and aggregation = $aggregation
group by ood_dataset, detector, first_value, second_value
order by ood_dataset, round(mean_difference, 9), detector, from_value, to_value
