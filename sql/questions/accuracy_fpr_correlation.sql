-- title: Correlation of accuracy and FPR
-- question: How closely does ID accuracy go with the false positive rate on each OOD set, per detector and pretraining?
-- asked because: Mueller & Hein 2024 (ViTs alone) report that more accurate models do better on NINCO, and that on unit-tests
--   accuracy and FPR do not go together with Mahalanobis-based detectors.
-- topic: accuracy
-- plot: heatmap x=detector y=pretraining color=spearman
-- param benchmark text = main: The benchmark
-- param aggregation text = class_mean {class_mean, pooled}: How the OOD classes of a set are put together
-- column ood_dataset: The OOD set
-- column pretraining: Pretraining data of the models, all for every model, null where it is unknown
-- column detector: The detector's name
-- column models: Models with an accuracy and an FPR
-- column left_out: Models with an FPR whose accuracy is not known
-- column pearson: Pearson's correlation of accuracy and fpr95; null where one of them is constant
-- column pearson_low: Lower end of its 95 % interval (Fisher's z); null up to three models
-- column pearson_high: Its upper end
-- column spearman: Spearman's rank correlation; null where one of them is constant
-- column spearman_low: Lower end of its 95 % interval (Fisher's z, with the variance of Bonett & Wright 2000)
-- column spearman_high: Its upper end
with correlations as (
    select
        ood_dataset, case when grouping(pretraining) = 1 then 'all' else pretraining end as pretraining, detector,
        count(accuracy) as models, count(*) - count(accuracy) as left_out,
        pearson(accuracy, fpr95) as pearson, spearman(accuracy, fpr95) as spearman
    from results
    where benchmark = $benchmark and aggregation = $aggregation
    group by grouping sets ((ood_dataset, detector), (ood_dataset, detector, pretraining))
),

intervals as (
    select
        *, correlation_ci(pearson, models) as of_pearson,
        correlation_ci(spearman, models, excess := spearman ** 2 / 2) as of_spearman
    from correlations
)

select
    ood_dataset, pretraining, detector, models, left_out,
    pearson, of_pearson.low as pearson_low, of_pearson.high as pearson_high,
    spearman, of_spearman.low as spearman_low, of_spearman.high as spearman_high
from intervals
order by ood_dataset, pretraining nulls last, round(spearman, 9) nulls last, detector
