-- title: Measures of geometry, ranked by how well they predict FPR
-- question: Which measure of a model's feature space goes most closely with its false positive rate?
-- asked because: Mueller & Hein 2024 report that CLIP models do not lend themselves to feature-based detectors, and guess at the
--   reason; geometry of the features may show it.
-- topic: detectors
-- plot: x=spearman y=measure color=ood_dataset
-- param ood text = all: One OOD set, or all
-- param detector text = mahalanobis: One detector, or all
-- param benchmark text = main: The benchmark
-- param aggregation text = class_mean {class_mean, pooled}: How the OOD classes of a set are put together
-- columns metrics: ood_dataset, detector
-- column place: Place by the size of spearman, the largest first; ties share one; null without spearman
-- column measure: The measure: a column of geometry for the fit dataset; ood_energy_outside is energy_outside of the OOD set
-- column models: Models with this measure and an FPR
-- column left_out: Models with an FPR whose measure is not known; combinations of models have no features and are not counted
-- column spearman: Spearman's rank correlation of the measure and fpr95 over models; null where one of them is constant
-- column spearman_low: Lower end of its 95 % interval (Fisher's z, with the variance of Bonett & Wright 2000); null up to three models
-- column spearman_high: Its upper end
-- column pearson: Pearson's correlation; null where one of them is constant
-- column pearson_low: Lower end of its 95 % interval (Fisher's z)
-- column pearson_high: Its upper end

-- Each interval is for its own measure: of 25 measures without any meaning, one or two have an interval without zero.
with measured as (
    select
        metrics.ood_dataset, metrics.detector, metrics.fpr95,
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
    unpivot include nulls (value for measure in (columns(* exclude (ood_dataset, detector, fpr95))))
),

correlations as (
    select
        ood_dataset, detector, measure, count(value) as models, count(*) - count(value) as left_out,
        spearman(value, fpr95) as spearman, pearson(value, fpr95) as pearson
    from values_of
    group by ood_dataset, detector, measure
),

intervals as (
    select
        *, correlation_ci(spearman, models, excess := spearman ** 2 / 2) as of_spearman,
        correlation_ci(pearson, models) as of_pearson
    from correlations
)

select
    ood_dataset, detector,
    case
        when spearman is not null
            then rank() over (partition by ood_dataset, detector order by round(abs(spearman), 9) desc nulls last)
    end as place,
    measure, models, left_out, spearman, of_spearman.low as spearman_low, of_spearman.high as spearman_high,
    pearson, of_pearson.low as pearson_low, of_pearson.high as pearson_high
from intervals
order by ood_dataset, detector, place nulls last, measure
