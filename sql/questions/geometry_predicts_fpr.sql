-- title: Measures of geometry, ranked by how well they predict FPR
-- question: Which measure of a model's feature space goes most closely with its false positive rate?
-- asked because: Mueller & Hein 2024 report that CLIP models do not lend themselves to feature-based detectors, and guess at the
--   reason; geometry of the features may show it.
-- topic: detectors
-- plot: x=spearman y=measure color=ood_dataset
-- param ood text = all: One OOD set, or all
-- param detector text = mahalanobis: One detector, or all
-- param metric text = fpr95 {fpr95, auroc, aupr_in, aupr_out}: The metric that is shown
-- param benchmark text = main: The benchmark
-- param aggregation text = class_mean {class_mean, pooled}: How the OOD classes of a set are put together
-- columns metrics: ood_dataset, detector
-- column place: Place by the size of spearman, the largest first; ties share one; null without spearman
-- column measure: The measure: a column of geometry for the fit dataset; ood_energy_outside is energy_outside of the OOD set
-- column models: Models with this measure and the metric
-- column left_out: Models with the metric whose measure is not known; combinations of models have no features and are not counted
-- column spearman: Spearman's rank correlation of the measure and the metric over models; null where one of them is constant
-- column spearman_low: Lower end of its 95 % interval (Fisher's z, with the variance of Bonett & Wright 2000); null of a perfect correlation, and below ten models: too few to tell
-- column spearman_high: Its upper end
-- column pearson: Pearson's correlation; null where one of them is constant
-- column pearson_low: Lower end of its 95 % interval (Fisher's z)
-- column pearson_high: Its upper end
-- column within: The rank correlation pooled within pretrainings: of the ranks among all models of known pretraining, each less the
--   mean rank of its own; pretrainings that differ in both make no correlation there
-- column within_low: Lower end of its 95 % interval, each pretraining but one counted as a model less; null likewise
-- column within_high: Its upper end
-- column p: Two-sided p of within, or where no pretraining is known of spearman (Student's t); null below ten models
-- column p_holm: The same corrected by Holm for the family of all measures of one OOD set and detector

-- Each interval is for its own measure: of 25 measures without any meaning, one or two have an interval without zero.
with measured as (
    select
        metrics.ood_dataset, metrics.detector, models.pretraining,
        metric_of($metric, metrics.fpr95, metrics.auroc, metrics.aupr_in, metrics.aupr_out) as metric,
        fit.* exclude (model, dataset, fit_dataset, role, "rows"),
        ood.energy_outside as ood_energy_outside
    from metrics
    inner join models on models.model = metrics.model and models.source is distinct from 'ensemble'
    left join datasets on datasets.role = 'fit' and list_contains(datasets.benchmarks, $benchmark)
    left join geometry as fit
        on fit.model = metrics.model and fit.dataset = datasets.dataset and fit.fit_dataset = datasets.dataset
    left join geometry as ood
        on ood.model = metrics.model and ood.dataset = metrics.ood_dataset and ood.fit_dataset = datasets.dataset
    where
        metrics.benchmark = $benchmark and metrics.aggregation = $aggregation
        and $ood in ('all', metrics.ood_dataset) and $detector in ('all', metrics.detector)
),

values_of as (
    from measured
    unpivot include nulls (value for measure in (columns(* exclude (ood_dataset, detector, metric, pretraining))))
),

correlations as (
    select
        ood_dataset, detector, measure, count(value) as models, count(*) - count(value) as left_out,
        spearman(value, metric) as spearman, pearson(value, metric) as pearson
    from values_of
    group by ood_dataset, detector, measure
),

-- Places among all.
placed as (
    select
        *, mid_rank(value, (ood_dataset, detector, measure)) as x, mid_rank(metric, (ood_dataset, detector, measure)) as y
    from values_of
    where value is not null and pretraining is not null
),

centred as (
    select
        ood_dataset, detector, measure, pretraining, round(x - avg(x) over own, 9) as x, round(y - avg(y) over own, 9) as y
    from placed
    window own as (partition by ood_dataset, detector, measure, pretraining)
),

pooled as (
    select
        ood_dataset, detector, measure, count(*) - count(distinct pretraining) + 1 as effective, pearson(x, y) as within
    from centred
    group by ood_dataset, detector, measure
),

intervals as (
    select
        correlations.*, pooled.within, correlation_ci(spearman, models, excess := spearman ** 2 / 2) as of_spearman,
        correlation_ci(pearson, models) as of_pearson,
        correlation_ci(within, effective, excess := within ** 2 / 2) as of_within,
        case when within is null then correlation_p(spearman, models) else correlation_p(within, effective) end as p
    from correlations
    left join pooled using (ood_dataset, detector, measure)
),

-- Holm: each p times how many are at least as large, and never below that of a smaller p.
steps as (
    select *, least(1, p * count(p) over (partition by ood_dataset, detector order by p desc nulls last)) as step
    from intervals
)

select
    ood_dataset, detector,
    case
        when spearman is not null
            then rank() over (partition by ood_dataset, detector order by round(abs(spearman), 9) desc nulls last)
    end as place,
    measure, models, left_out, spearman, of_spearman.low as spearman_low, of_spearman.high as spearman_high,
    pearson, of_pearson.low as pearson_low, of_pearson.high as pearson_high,
    within, of_within.low as within_low, of_within.high as within_high, p,
    case when p is not null then max(step) over (partition by ood_dataset, detector order by p nulls last) end as p_holm
from steps
order by ood_dataset, detector, place nulls last, measure
