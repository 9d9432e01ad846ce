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
--   known pretraining, each compared with those of its own: pretrainings that differ in both make no correlation there
-- column detector: The detector's name
-- column models: Models with an accuracy and the metric
-- column left_out: Models with the metric whose accuracy is not known, or, pooled within, their pretraining
-- column pearson: Pearson's correlation of accuracy and the metric, over the n values; null where one of them is constant. Pooled
--   within, each value less the mean of its pretraining
-- column pearson_low: Lower end of its 95 % interval (Fisher's z); null of a perfect correlation, below ten values, which are too few
--   to tell, and pooled within: values of pretrainings vary unlike, and Fisher's interval is too narrow for that
-- column pearson_high: Its upper end
-- column spearman: Spearman's rank correlation, over the n values; null where one of them is constant. Pooled within, the mean of
--   those of the pretrainings, weighted by n (n - 1) / (n + 1)
-- column spearman_low: Lower end of its 95 % interval (Fisher's z, with the variance of Bonett & Wright 2000), null likewise
-- column spearman_high: Its upper end
-- column n: Values that are correlated: models of one pretrained checkpoint are not independent, and are one value, their mean;
--   where all are of a single checkpoint each model is one, and what is said is said of its finetunes alone
-- column p: Two-sided p of spearman among all orders of the values (pooled within, of those of each pretraining): exact below ten
--   values, ties as unfavourable as they can be, and by a distribution of the same variance and kurtosis from there on
-- column p_holm: The same corrected by Holm for the family of all detectors on one OOD set: over all models one family, pooled
--   within another, and all single pretrainings a third
-- column verdict: falls or rises (the metric as accuracy rises) where p_holm is below 0.05; else weaker than 0.5 where the interval of
--   spearman lies between -0.5 and 0.5, and else too few to tell
-- column signs_differ: Whether spearman has another sign than that over all models, or, over all models, than that pooled within
with recipes as (
    -- One row for each model but ensembles.
    select model, parts[1] as pretraining, checkpoint from ingredients where ingredient = 'pretraining' and not for_untrained
),

asked as (
    select
        metrics.ood_dataset, recipes.pretraining, metrics.detector, metrics.model, accuracy.top1 as accuracy,
        metric_of($metric, metrics.fpr95, metrics.auroc, metrics.aupr_in, metrics.aupr_out) as value,
        -- An ensemble comes from no checkpoint, and is one of its own.
        coalesce(recipes.checkpoint, metrics.model) as checkpoint
    from metrics
    left join recipes on recipes.model = metrics.model
    left join accuracy on accuracy.model = metrics.model and accuracy.dataset = metrics.id_dataset
    where metrics.benchmark = $benchmark and metrics.aggregation = $aggregation
),

-- Each model twice: among all, and among those of its pretraining.
scoped as (
    select
        * exclude (checkpoint),
        case
            when
                min(checkpoint) filter (where accuracy is not null) over peers
                = max(checkpoint) filter (where accuracy is not null) over peers
                then model
            else checkpoint
        end as unit
    from (select *, unnest([false, true]) as is_own from asked)
    window peers as (partition by ood_dataset, detector, is_own, case when is_own then pretraining end)
),

units as (
    select
        ood_dataset, detector, is_own, case when is_own then pretraining else 'all' end as pretraining, unit,
        count(*) as every, count(accuracy) as models,
        -- Means that are equal but for their last digits are equal.
        round(avg(accuracy), 12) as accuracy, round(avg(value) filter (where accuracy is not null), 12) as value
    from scoped
    group by all
),

groups as materialized (
    select
        ood_dataset, detector, is_own, pretraining, sum(every)::bigint as every, sum(models)::bigint as models,
        count(accuracy) as n, pearson(accuracy, value) as pearson,
        regr_sxy(value, accuracy) as sxy, regr_sxx(value, accuracy) as sxx, regr_syy(value, accuracy) as syy,
        rank_stratum(
            coalesce(list({'x': accuracy, 'y': value}) filter (where accuracy is not null), [])
        ) as stratum
    from units
    group by ood_dataset, detector, is_own, pretraining
),

correlations as (
    select
        ood_dataset, detector, pretraining, case when is_own then 'one' else 'all' end as kind, models, every - models as left_out,
        n, pearson, rank_correlation([stratum]) as ranked
    from groups
    union all by name
    select
        ood_dataset, detector, 'pooled within' as pretraining, 'within' as kind, sum(models)::bigint as models,
        any_value(whole.every) - sum(models)::bigint as left_out, sum(n)::bigint as n,
        case
            when sum(sxx) > 0 and sum(syy) > 0 then greatest(-1.0, least(1.0, sum(sxy) / sqrt(sum(sxx) * sum(syy))))
        end as pearson,
        rank_correlation(list(stratum)) as ranked
    from groups
    inner join (select ood_dataset, detector, every from groups where not is_own) as whole using (ood_dataset, detector)
    where is_own and models > 0 and pretraining is not null
    group by ood_dataset, detector
),

intervals as (
    select
        *, ranked.rho as spearman, ranked.p as p, case when kind <> 'within' then correlation_ci(pearson, n) end as of_pearson,
        correlation_ci(ranked.rho, ranked.n, excess := ranked.rho ** 2 / 2) as of_spearman
    from correlations
),

-- Holm: each p times how many are at least as large, and never below that of a smaller p.
steps as (
    select
        *, least(1, p * count(p) over (partition by ood_dataset, kind order by p desc nulls last)) as step,
        max(spearman) filter (where kind = 'all') over (partition by ood_dataset, detector) as over_all,
        max(spearman) filter (where kind = 'within') over (partition by ood_dataset, detector) as within
    from intervals
),

corrected as (
    select
        *, case when p is not null then max(step) over (partition by ood_dataset, kind order by p nulls last) end as p_holm
    from steps
)

select
    ood_dataset, pretraining, detector, models, left_out,
    pearson, of_pearson.low as pearson_low, of_pearson.high as pearson_high,
    spearman, of_spearman.low as spearman_low, of_spearman.high as spearman_high, n, p, p_holm,
    correlation_verdict(spearman, p_holm, of_spearman.low, of_spearman.high) as verdict,
    round(spearman * case when kind = 'all' then within else over_all end, 12) < 0 as signs_differ
from corrected
order by ood_dataset, pretraining nulls last, round(spearman, 9) nulls last, detector
