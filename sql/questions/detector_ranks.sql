-- title: Ranks of detectors
-- question: Which detectors rank before others over models and OOD sets, and which of them are not told apart?
-- asked because: A mean over models says nothing of how often the order turns round (Demšar 2006, "Statistical comparisons of
--   classifiers over multiple data sets", JMLR 7).
-- topic: detectors
-- param metric text = fpr95 {fpr95, auroc, aupr_in, aupr_out}: The metric that ranks
-- param ood text = all: One OOD set, or all
-- param benchmark text = main: The benchmark
-- param aggregation text = class_mean {class_mean, pooled}: How the OOD classes of a set are put together
-- column detector: The detector
-- column mean_rank: Mean over checkpoints of its rank among the detectors, from 1, the best; ties at their mean
-- column mean_value: Mean over checkpoints and OOD sets of the metric
-- column checkpoints: How many there are: finetunes of one checkpoint count once, by their mean, as they are not independent. In each
--   checkpoint, detectors are ranked on each OOD set, and then by the mean of these ranks
-- column models: Models that these are of
-- column ood_datasets: OOD sets
-- column told_apart: Detectors that it differs from: p below 0.05 (ranks' normal deviate), corrected by Holm for all pairs of detectors
-- column alike: Detectors that it is not told apart from, the best first
-- column statistic: Friedman's chi-square, ties corrected; the same in each row. Null where there is one checkpoint, or nothing but ties
-- column p: Its p: how likely ranks so uneven would be if all detectors were alike
-- column left_out: Models that lack one of these detectors on one of the OOD sets
-- column unranked: Detectors that are left out, as they have scored less than half as many models as the others
with asked as (
    select
        results.model, of_model.checkpoint, results.detector, results.ood_dataset,
        metric_of($metric, fpr95, auroc, aupr_in, aupr_out) as value, metric_sign($metric) * value as loss
    from results
    -- An ensemble has no ingredients, and is not ranked.
    inner join (select distinct model, checkpoint from ingredients) as of_model on of_model.model = results.model
    where benchmark = $benchmark and aggregation = $aggregation and $ood in ('all', results.ood_dataset)
),

counted as (
    select detector, 2 * count(distinct model) >= max(count(distinct model)) over () as is_ranked
    from asked
    group by detector
),

ranked as (
    select asked.*
    from asked
    inner join counted on counted.detector = asked.detector and counted.is_ranked
),

complete as (
    select model
    from ranked
    group by model
    having count(*) = (select count(distinct detector) * count(distinct ood_dataset) from ranked)
),

by_checkpoint as (
    select
        coalesce(ranked.checkpoint, ranked.model) as block, ranked.ood_dataset, ranked.detector, avg(value) as value,
        -- Means that are equal but for their last digits are ties.
        round(avg(loss), 12) as loss
    from ranked
    inner join complete on complete.model = ranked.model
    group by all
),

placed as (
    select *, mid_rank(loss, (block, ood_dataset)) as place
    from by_checkpoint
),

over_sets as (
    select block, detector, avg(value) as value, round(avg(place), 9) as place
    from placed
    group by block, detector
),

blocks as (
    select *, mid_rank(place, block) as rank_here
    from over_sets
),

summed as (
    select detector, avg(rank_here) as mean_rank, avg(value) as mean_value
    from blocks
    group by detector
),

-- The mean variance of the ranks of a block; without ties (detectors^2 - 1) / 12.
overall as (
    select
        (select count(distinct block) from blocks) as checkpoints, count(*) as detectors,
        (select avg(spread) from (select var_pop(rank_here) as spread from blocks group by block)) as variance,
        var_pop(mean_rank) as between_means
    from summed
),

tested as (
    select
        checkpoints,
        case when checkpoints > 1 and variance > 0 then (detectors - 1) * checkpoints * between_means / variance end as statistic,
        chi_square_p(statistic, detectors - 1) as p,
        case when checkpoints > 1 and variance > 0 then sqrt(2 * variance * detectors / (detectors - 1) / checkpoints) end as error
    from overall
),

pairs_of as (
    select a.detector as one, b.detector as other, normal_p((a.mean_rank - b.mean_rank) / tested.error) as p
    from summed as a
    inner join summed as b on a.detector < b.detector
    cross join tested
),

-- Holm: each p times how many are at least as large, and never below that of a smaller p.
steps as (
    select *, least(1, p * count(*) over (order by p desc nulls last)) as step
    from pairs_of
),

corrected as (
    select one, other, coalesce(max(step) over (order by p nulls last), 1) as p_holm
    from steps
),

both_ways as (
    select one, other, p_holm from corrected
    union all
    select other, one, p_holm from corrected
),

companions as (
    select
        both_ways.one, count(*) filter (where p_holm < 0.05) as told_apart,
        list(both_ways.other order by summed.mean_rank, both_ways.other) filter (where p_holm >= 0.05) as alike
    from both_ways
    inner join summed on summed.detector = both_ways.other
    group by both_ways.one
)

select
    summed.detector, mean_rank, mean_value, tested.checkpoints, (select count(*) from complete) as models,
    (select count(distinct ood_dataset) from ranked) as ood_datasets, coalesce(told_apart, 0) as told_apart,
    coalesce(alike, []) as alike, statistic, p,
    (select count(distinct model) from asked) - (select count(*) from complete) as left_out,
    (select count(*) from counted where not is_ranked) as unranked
from summed
cross join tested
left join companions on companions.one = summed.detector
order by round(mean_rank, 9), summed.detector
