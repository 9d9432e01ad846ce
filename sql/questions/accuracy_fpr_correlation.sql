-- title: Correlation of accuracy and FPR
-- question: How closely does ID accuracy go with the false positive rate on each OOD set, per detector?
-- finding: The correlation is clear for CNN-like pools, and weak for CLIP models with feature-based detectors.
-- topic: accuracy
-- param benchmark text = main: The benchmark
-- param aggregation text = class_mean {class_mean, pooled}: How the OOD classes of a set are put together
-- column ood_dataset: The OOD set
-- column detector: The detector's name
-- column models: Models with an accuracy and an FPR
-- column pearson: Pearson's correlation of accuracy and fpr95; null where one of them is constant
-- column spearman: Spearman's rank correlation; null where one of them is constant
with ranked as (
    select
        ood_dataset, detector, accuracy, fpr95,
        rank() over (partition by ood_dataset, detector order by accuracy)
            + (count(*) over (partition by ood_dataset, detector, accuracy) - 1) / 2 as accuracy_rank,
        rank() over (partition by ood_dataset, detector order by fpr95)
            + (count(*) over (partition by ood_dataset, detector, fpr95) - 1) / 2 as fpr_rank
    from results
    where benchmark = $benchmark and aggregation = $aggregation and accuracy is not null
)

select
    ood_dataset,
    detector,
    count(*) as models,
    case when count(distinct accuracy) > 1 and count(distinct fpr95) > 1 then corr(accuracy, fpr95) end as pearson,
    case when count(distinct accuracy) > 1 and count(distinct fpr95) > 1 then corr(accuracy_rank, fpr_rank) end
        as spearman
from ranked
group by ood_dataset, detector
order by ood_dataset, round(spearman, 9) nulls last, detector
