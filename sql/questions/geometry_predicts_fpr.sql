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
-- column spearman: Spearman's rank correlation of the measure and the metric, over the n values; null where one of them is constant
-- column spearman_low: Lower end of its 95 % interval (Fisher's z, with the variance of Bonett & Wright 2000); null of a perfect correlation, and below ten values: too few to tell
-- column spearman_high: Its upper end
-- column pearson: Pearson's correlation; null where one of them is constant
-- column pearson_low: Lower end of its 95 % interval (Fisher's z)
-- column pearson_high: Its upper end
-- column within: The rank correlation pooled within pretrainings: the mean of those of each, weighted by n (n - 1) / (n + 1);
--   pretrainings that differ in both make no correlation there
-- column within_low: Lower end of its 95 % interval, each pretraining but one counted as a value less; null likewise
-- column within_high: Its upper end
-- column p: Two-sided p of within among all orders of the values of each pretraining, or where no pretraining tells, of spearman
--   among all: exact below ten values, ties as unfavourable as they can be, and by a distribution of the same variance and
--   kurtosis from there on
-- column p_holm: The same corrected by Holm for the family of all measures of one OOD set and detector
-- column n: Values that spearman is of: models of one pretrained checkpoint are not independent, and are one value, their mean;
--   where all are of a single checkpoint each model is one, and what is said is said of its finetunes alone
-- column n_within: Values that within is of, likewise: the checkpoints of each pretraining, or its models if they are of one
-- column each_pretraining: The rank correlation within each pretraining, as text, with n
-- column verdict: falls or rises (the metric as the measure rises) where p_holm is below 0.05; else weaker than 0.5 where the interval of
--   within (or spearman, as for p) lies between -0.5 and 0.5, and else too few to tell
-- column signs_differ: Whether spearman and within have opposite signs

-- Each interval is for its own measure: of 25 measures without any meaning, one or two have an interval without zero.
with recipes as (
    -- One row for each model but ensembles.
    select model, parts[1] as pretraining, checkpoint from ingredients where ingredient = 'pretraining' and not for_untrained
),

measured as (
    select
        metrics.ood_dataset, metrics.detector, metrics.model, recipes.pretraining, recipes.checkpoint,
        metric_of($metric, metrics.fpr95, metrics.auroc, metrics.aupr_in, metrics.aupr_out) as metric,
        fit.* exclude (model, dataset, fit_dataset, role, "rows"),
        ood.energy_outside as ood_energy_outside
    from metrics
    inner join recipes on recipes.model = metrics.model
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
    unpivot include nulls (
        value for measure in (columns(* exclude (ood_dataset, detector, metric, model, pretraining, checkpoint)))
    )
),

-- Each model twice: among all, and among those of its pretraining.
scoped as (
    select
        * exclude (checkpoint), case when min(checkpoint) over peers = max(checkpoint) over peers then model else checkpoint end as unit
    from (
        select * replace (case when is_own then pretraining end as pretraining)
        from (select *, unnest([false, true]) as is_own from values_of where value is not null)
        where pretraining is not null or not is_own
    )
    window peers as (partition by ood_dataset, detector, measure, is_own, pretraining)
),

units as (
    -- Means that are equal but for their last digits are equal.
    select
        ood_dataset, detector, measure, is_own, pretraining, unit,
        avg(value) as whole,
        case when whole = 0 then 0 else round(whole, (11 - floor(log10(abs(whole))))::integer) end as value,
        round(avg(metric), 12) as metric
    from scoped
    group by ood_dataset, detector, measure, is_own, pretraining, unit
),

groups as materialized (
    select
        ood_dataset, detector, measure, is_own, pretraining, pearson(value, metric) as pearson,
        rank_stratum(list({'x': value, 'y': metric})) as stratum
    from units
    group by ood_dataset, detector, measure, is_own, pretraining
),

over_all as (
    select
        ood_dataset, detector, measure, pearson, stratum.n, rank_correlation([stratum]) as ranked
    from groups
    where not is_own
),

pooled as (
    select
        ood_dataset, detector, measure, sum(stratum.n)::bigint as n_within, rank_correlation(list(stratum)) as ranked,
        string_agg(
            format('{} {:.2f} (n = {})', pretraining, stratum.rho, stratum.n), ', ' order by pretraining
        ) as each_pretraining
    from groups
    where is_own
    group by ood_dataset, detector, measure
),

counts as (
    select ood_dataset, detector, measure, count(value) as models, count(*) - count(value) as left_out
    from values_of
    group by ood_dataset, detector, measure
),

intervals as (
    select
        counts.*, over_all.n, over_all.pearson, over_all.ranked.rho as spearman, pooled.n_within, pooled.ranked.rho as within,
        pooled.each_pretraining,
        correlation_ci(over_all.ranked.rho, over_all.ranked.n, excess := over_all.ranked.rho ** 2 / 2) as of_spearman,
        correlation_ci(over_all.pearson, over_all.n) as of_pearson,
        correlation_ci(pooled.ranked.rho, pooled.ranked.n, excess := pooled.ranked.rho ** 2 / 2) as of_within,
        case when pooled.ranked.rho is null then over_all.ranked.p else pooled.ranked.p end as p
    from counts
    left join over_all using (ood_dataset, detector, measure)
    left join pooled using (ood_dataset, detector, measure)
),

-- Holm: each p times how many are at least as large, and never below that of a smaller p.
steps as (
    select *, least(1, p * count(p) over (partition by ood_dataset, detector order by p desc nulls last)) as step
    from intervals
),

corrected as (
    select
        *, case when p is not null then max(step) over (partition by ood_dataset, detector order by p nulls last) end as p_holm,
        case when within is null then of_spearman else of_within end as of_p
    from steps
)

select
    ood_dataset, detector,
    case
        when spearman is not null
            then rank() over (partition by ood_dataset, detector order by round(abs(spearman), 9) desc nulls last)
    end as place,
    measure, models, left_out, spearman, of_spearman.low as spearman_low, of_spearman.high as spearman_high,
    pearson, of_pearson.low as pearson_low, of_pearson.high as pearson_high,
    within, of_within.low as within_low, of_within.high as within_high, p, p_holm,
    coalesce(n, 0) as n, coalesce(n_within, 0) as n_within, each_pretraining,
    correlation_verdict(coalesce(within, spearman), p_holm, of_p.low, of_p.high) as verdict,
    round(spearman * within, 12) < 0 as signs_differ
from corrected
order by ood_dataset, detector, place nulls last, measure
