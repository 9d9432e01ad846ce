-- title: Interactions: whether what one ingredient does depends on another
-- question: What does an ingredient do at one value of a second ingredient, and what at another, all else equal?
-- asked because: Mueller & Hein 2024 advise more weight decay and ImageNet-21k pretraining together; whether weight decay does as much
--   after another pretraining, no effect of either alone can tell.
-- topic: recipes
-- plot: x=interaction y=ingredient color=other shape=ood_dataset
-- param ingredient text = all: One ingredient, e.g. weight_decay, with each second one, or all pairs of ingredients
-- param ood text = all: One OOD set, or all
-- param detector text = mahalanobis: One detector, or all
-- param metric text = fpr95 {fpr95, auroc, aupr_in, aupr_out}: The metric that is shown
-- param benchmark text = main: The benchmark
-- param aggregation text = class_mean {class_mean, pooled}: How the OOD classes of a set are put together
-- columns metrics: ood_dataset, detector
-- column ingredient: What is changed: the one that is asked for, else the first by name; null in a row that only counts models left out
-- column from_value: Its value before
-- column to_value: Its value after
-- column other: The second ingredient
-- column other_from: Its first value
-- column other_to: Its second value
-- column fours: Sets of four recipes that differ in these two ingredients alone, one for each combination of their values; repeats of
--   a recipe are averaged first
-- column clusters: Clusters of these: those of the same pretrained checkpoints, which are not independent, are one
-- column effect_from: Mean over clusters of the metric with to_value minus that with from_value, where the other has other_from
-- column effect_to: The same where the other has other_to
-- column interaction: The second minus the first; 0 where the effects of the two just add up
-- column low: Lower end of its 95 % interval (Student's t over the clusters' means); null for a single cluster
-- column high: Its upper end
-- column p: Two-sided p that it is zero (Student's t); null for a single cluster, and where all are equal
-- column p_holm: The same corrected by Holm for the family of all rows of this answer on one OOD set
-- column left_out: Models with these metrics in no four because a part of their recipe is not known (null)

-- Every file is read once: the view pairs would read those of the models once more.
with recipes as materialized (
    select * from ingredients
),

runs as materialized (
    select distinct model, recipe_of, complete
    from recipes
),

firsts as materialized (
    select * from recipes where complete and model = recipe_of
),

pairs_of as materialized (
    select
        a.model as first, b.model as second, a.ingredient, array_to_string(a.parts, '+') as first_value,
        array_to_string(b.parts, '+') as second_value, concat_ws(' → ', a.checkpoint, b.checkpoint) as cluster
    from firsts as a
    inner join firsts as b
        on b.ingredient = a.ingredient and b.others = a.others and precedes(a.parts, b.parts)
        and not (a.for_untrained and b.for_untrained)
),

aggregates as materialized (
    select model, ood_dataset, detector, metric_of($metric, fpr95, auroc, aupr_in, aupr_out) as value
    from metrics
    where
        benchmark = $benchmark and aggregation = $aggregation and ood_class is null
        and $ood in ('all', ood_dataset) and $detector in ('all', detector)
),

of_recipes as materialized (
    select runs.recipe_of as model, a.ood_dataset, a.detector, avg(a.value) as value
    from aggregates as a
    inner join runs on runs.model = a.model and runs.complete
    group by all
),

-- Two pairs of one ingredient, whose first models and whose second models differ in the other ingredient, and likewise.
fours as materialized (
    select
        row_number() over () as four, a.ingredient, a.first_value as from_value, a.second_value as to_value,
        b.ingredient as other, b.first_value as other_from, b.second_value as other_to,
        a.first as before_from, a.second as after_from, c.first as before_to, c.second as after_to,
        concat_ws(' | ', a.cluster, c.cluster) as cluster
    from pairs_of as a
    inner join pairs_of as b on b.first = a.first
    inner join pairs_of as c
        on c.first = b.second and c.ingredient = a.ingredient and c.first_value = a.first_value and c.second_value = a.second_value
    inner join pairs_of as d
        on d.first = a.second and d.second = c.second and d.ingredient = b.ingredient
        and d.first_value = b.first_value and d.second_value = b.second_value
    where case when $ingredient = 'all' then a.ingredient < b.ingredient else a.ingredient = $ingredient end
),

-- Each recipe of a four by itself: joined one by one, the metrics of all recipes would meet each other.
corners as (
    select
        * exclude (before_from, after_from, before_to, after_to),
        unnest([before_from, after_from, before_to, after_to]) as model, unnest([-1, 1, 0, 0]) as at_from, unnest([0, 0, -1, 1]) as at_to
    from fours
),

by_four as (
    select
        corners.four, corners.ingredient, corners.from_value, corners.to_value, corners.other, corners.other_from, corners.other_to,
        corners.cluster, a.ood_dataset, a.detector,
        sum(corners.at_from * a.value) as effect_from, sum(corners.at_to * a.value) as effect_to
    from corners
    inner join of_recipes as a on a.model = corners.model
    group by all
    having count(*) = 4
),

by_cluster as (
    select
        ingredient, from_value, to_value, other, other_from, other_to, cluster, ood_dataset, detector, count(*) as fours,
        avg(effect_from) as effect_from, avg(effect_to) as effect_to
    from by_four
    group by all
),

found as (
    select
        ood_dataset, detector, ingredient, from_value, to_value, other, other_from, other_to, sum(fours)::bigint as fours,
        count(*) as clusters, avg(effect_from) as effect_from, avg(effect_to) as effect_to,
        avg(effect_to - effect_from) as interaction, stddev_samp(effect_to - effect_from) / sqrt(count(*)) as error
    from by_cluster
    group by all
),

-- Means of repeats that are equal but for their last digits are no difference.
tested as (
    select *, case when round(error, 12) > 0 then student_p(interaction / error, clusters - 1) end as p
    from found
),

-- Holm: each p times how many are at least as large, and never below that of a smaller p.
steps as (
    select *, least(1, p * count(p) over (partition by ood_dataset order by p desc nulls last)) as step
    from tested
),

corrected as (
    select *, case when p is not null then max(step) over (partition by ood_dataset order by p nulls last) end as p_holm
    from steps
),

unknown as (
    select a.ood_dataset, a.detector, count(*) as left_out
    from aggregates as a
    inner join runs on runs.model = a.model and not runs.complete
    group by all
)

select
    ood_dataset, detector, corrected.ingredient, corrected.from_value, corrected.to_value, corrected.other, corrected.other_from,
    corrected.other_to, coalesce(corrected.fours, 0) as fours, coalesce(corrected.clusters, 0) as clusters,
    corrected.effect_from, corrected.effect_to, corrected.interaction,
    corrected.interaction - student_t(corrected.clusters - 1) * corrected.error as low,
    corrected.interaction + student_t(corrected.clusters - 1) * corrected.error as high,
    corrected.p, corrected.p_holm, coalesce(unknown.left_out, 0) as left_out
from corrected
full join unknown using (ood_dataset, detector)
order by ood_dataset, detector, ingredient nulls last, other, from_value, to_value, other_from, other_to
