-- title: Correlation of accuracy and FPR
-- question: How closely does ID accuracy go with the false positive rate on each OOD set, per detector and pretraining?
-- asked because: Mueller & Hein 2024 (ViTs alone) report that more accurate models do better on NINCO, and that on unit-tests
--   accuracy and FPR do not go together with Mahalanobis-based detectors.
-- topic: accuracy
-- plot: heatmap x=detector y=pretraining color=spearman
-- param metric text = fpr95 {fpr95, auroc, aupr_in, aupr_out}: The metric that is shown
-- param benchmark text = main: The benchmark
-- param aggregation text = class_mean {class_mean, pooled}: How the OOD classes of a set are put together
-- column ood_dataset: The OOD set
-- column pretraining: Pretraining data of the models, null where it is unknown; all for every model; pooled within for those of
--   known pretraining, each less the mean of its own: pretrainings that differ in both make no correlation there
-- column detector: The detector's name
-- column models: Models with an accuracy and the metric
-- column left_out: Models with the metric whose accuracy is not known, or, pooled within, their pretraining
-- column pearson: Pearson's correlation of accuracy and the metric; null where one of them is constant
-- column pearson_low: Lower end of its 95 % interval (Fisher's z); null of a perfect correlation, and below ten models: too few to
--   tell. Pooled within, each pretraining but one counts as a model less
-- column pearson_high: Its upper end
-- column spearman: Spearman's rank correlation; null where one of them is constant. Pooled within, that of the ranks among all,
--   each less the mean rank of its pretraining
-- column spearman_low: Lower end of its 95 % interval (Fisher's z, with the variance of Bonett & Wright 2000), null likewise
-- column spearman_high: Its upper end
with asked as (
    select
        ood_dataset, pretraining, detector, accuracy, metric_of($metric, fpr95, auroc, aupr_in, aupr_out) as value
    from results
    where benchmark = $benchmark and aggregation = $aggregation
),

by_pretraining as (
    select
        ood_dataset, case when grouping(pretraining) = 1 then 'all' else pretraining end as pretraining, detector,
        count(accuracy) as models, count(*) - count(accuracy) as left_out, 1 as groups,
        pearson(accuracy, value) as pearson, spearman(accuracy, value) as spearman
    from asked
    group by grouping sets ((ood_dataset, detector), (ood_dataset, detector, pretraining))
),

-- Places among all.
placed as (
    select *, mid_rank(accuracy, (ood_dataset, detector)) as x, mid_rank(value, (ood_dataset, detector)) as y
    from asked
    where accuracy is not null and pretraining is not null
),

-- What is left of rounding is no difference.
centred as (
    select
        ood_dataset, detector, pretraining,
        round(accuracy - avg(accuracy) over own, 14) as accuracy, round(value - avg(value) over own, 14) as value,
        round(x - avg(x) over own, 9) as x, round(y - avg(y) over own, 9) as y
    from placed
    window own as (partition by ood_dataset, detector, pretraining)
),

pooled as (
    select
        ood_dataset, 'pooled within' as pretraining, detector, count(*) as models, count(distinct pretraining) as groups,
        pearson(accuracy, value) as pearson, pearson(x, y) as spearman
    from centred
    group by ood_dataset, detector
),

correlations as (
    select * from by_pretraining
    union all by name
    select pooled.*, every.models + every.left_out - pooled.models as left_out
    from pooled
    inner join by_pretraining as every
        on every.ood_dataset = pooled.ood_dataset and every.detector = pooled.detector and every.pretraining = 'all'
),

intervals as (
    select
        *, correlation_ci(pearson, models - groups + 1) as of_pearson,
        correlation_ci(spearman, models - groups + 1, excess := spearman ** 2 / 2) as of_spearman
    from correlations
)

select
    ood_dataset, pretraining, detector, models, left_out,
    pearson, of_pearson.low as pearson_low, of_pearson.high as pearson_high,
    spearman, of_spearman.low as spearman_low, of_spearman.high as spearman_high
from intervals
order by ood_dataset, pretraining nulls last, round(spearman, 9) nulls last, detector
