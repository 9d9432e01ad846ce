-- title: What changing one ingredient of the recipe does to a metric, all else equal, over matched pairs of recipes
-- argument metric_: fpr95, auroc, aupr_in or aupr_out
-- argument ingredient_ = null: Only this ingredient, with what is of its family; null for all
-- column ingredient: What differs between the two models of each pair: weight_decay, dropout, pretraining, …
-- column benchmark: The benchmark
-- column aggregation: class_mean or pooled
-- columns metrics: ood_dataset, detector
-- column from_value: Value of the ingredient in the first model of each pair; null in a row that only counts models left out
-- column to_value: Its value in the second
-- column pairs: Pairs of recipes that differ in this ingredient alone; repeats of a recipe are averaged first
-- column mean_difference: Mean of the metric with to_value minus that with from_value; to_value is better below zero of fpr95,
--   above it of the others. Each cluster of pairs counts once, by its mean
-- column low: Lower end of the 95 % interval of the mean (Student's t over the clusters' means); null for a single cluster
-- column high: Its upper end
-- column improved: Pairs in which to_value has the better metric
-- column worsened: Pairs in which it has the worse
-- column p: Two-sided p of the sign test on the clusters' means; those without a difference do not count
-- column mean_auroc_difference: The same difference for auroc
-- column left_out: Models with these metrics in no pair because a part of their recipe is not known (null)
-- column clusters: Clusters of these pairs: those of the same pretrained checkpoints, which are not independent, are one
-- column p_mean: Two-sided p of the mean over clusters (Student's t); null for a single cluster, and where all are equal
-- column p_holm: The same corrected by Holm for the family of all changes of this ingredient and all detectors on one OOD set
--   (dropout+stochastic_depth is of the family of dropout)
-- column from_mean: Mean of the metric with from_value, over clusters

-- Every file is read once: pairs and paired_differences would read those of the models and of the metrics twice each.
with recipes as materialized (
    select * from ingredients where ingredient_ is null or split_part(ingredient, '+', 1) = ingredient_
),

aggregates as materialized (
    select
        model, benchmark, aggregation, ood_dataset, detector, metric_of(metric_, fpr95, auroc, aupr_in, aupr_out) as shown, auroc
    from metrics
    where ood_class is null
),

runs as materialized (
    select distinct model, recipe_of, complete from recipes
),

of_recipes as materialized (
    select
        runs.recipe_of as model, a.benchmark, a.aggregation, a.ood_dataset, a.detector,
        avg(a.shown) as shown, avg(a.auroc) as auroc
    from aggregates as a
    inner join runs on runs.model = a.model and runs.complete
    group by all
),

-- The pairs come first: whoever joins the metrics of all models with one another has thousands of rows for each that is left.
of_first as materialized (
    select
        first.ingredient, second.model as second,
        array_to_string(first.parts, '+') as from_value, array_to_string(second.parts, '+') as to_value,
        concat_ws(' → ', first.checkpoint, second.checkpoint) as cluster,
        a.benchmark, a.aggregation, a.ood_dataset, a.detector, a.shown, a.auroc
    from recipes as first
    inner join recipes as second
        on second.ingredient = first.ingredient and second.others = first.others
        and precedes(first.parts, second.parts) and not (first.for_untrained and second.for_untrained)
    inner join of_recipes as a on a.model = first.model
    where first.complete and first.model = first.recipe_of and second.complete and second.model = second.recipe_of
),

differences as (
    select
        a.ingredient, a.from_value, a.to_value, a.cluster, a.benchmark, a.aggregation, a.ood_dataset, a.detector,
        a.shown as from_shown, b.shown - a.shown as difference, metric_sign(metric_) * difference as loss,
        b.auroc - a.auroc as auroc_difference
    from of_first as a
    inner join of_recipes as b
        on b.model = a.second and b.benchmark = a.benchmark and b.aggregation = a.aggregation
        and b.ood_dataset = a.ood_dataset and b.detector = a.detector
),

by_cluster as (
    select
        ingredient, benchmark, aggregation, ood_dataset, detector, from_value, to_value, cluster, count(*) as pairs,
        avg(from_shown) as from_shown, avg(difference) as difference, avg(auroc_difference) as auroc_difference,
        -- Means of repeats that are equal but for their last digits are no difference.
        count(*) filter (where round(loss, 12) < 0) as improved,
        count(*) filter (where round(loss, 12) > 0) as worsened
    from differences
    group by all
),

found as (
    select
        ingredient, split_part(ingredient, '+', 1) as alone, benchmark, aggregation, ood_dataset, detector,
        from_value, to_value, sum(pairs)::bigint as pairs, count(*) as clusters,
        avg(difference) as mean_difference,
        student_t(count(*) - 1) * stddev_samp(difference) / sqrt(count(*)) as half,
        case
            when round(stddev_samp(difference), 12) > 0
                then student_p(avg(difference) / stddev_samp(difference) * sqrt(count(*)), count(*) - 1)
        end as p_mean,
        sum(improved)::bigint as improved, sum(worsened)::bigint as worsened,
        sign_test(
            count(*) filter (where round(difference, 12) < 0), count(*) filter (where round(difference, 12) > 0)
        ) as p,
        avg(auroc_difference) as mean_auroc_difference, avg(from_shown) as from_mean
    from by_cluster
    group by all
),

-- Holm: each p times how many are at least as large, and never below that of a smaller p.
steps as (
    select
        *,
        least(
            1, p_mean * count(p_mean) over (partition by alone, benchmark, aggregation, ood_dataset order by p_mean desc nulls last)
        ) as step
    from found
),

corrected as (
    select
        *,
        case
            when p_mean is not null
                then max(step) over (partition by alone, benchmark, aggregation, ood_dataset order by p_mean nulls last)
        end as p_holm
    from steps
),

unknown as (
    select
        names.ingredient as alone, a.benchmark, a.aggregation, a.ood_dataset, a.detector, count(*) as left_out
    from aggregates as a
    inner join runs on runs.model = a.model and not runs.complete
    cross join (select distinct ingredient from recipes) as names
    where names.ingredient not in ('dropout+stochastic_depth', 'soup_of', 'recipe')
    group by all
)

select
    coalesce(corrected.ingredient, alone) as ingredient, benchmark, aggregation, ood_dataset, detector,
    corrected.from_value, corrected.to_value, coalesce(corrected.pairs, 0) as pairs,
    corrected.mean_difference, corrected.mean_difference - corrected.half as low, corrected.mean_difference + corrected.half as high,
    coalesce(corrected.improved, 0) as improved, coalesce(corrected.worsened, 0) as worsened, coalesce(corrected.p, 1) as p,
    corrected.mean_auroc_difference, coalesce(unknown.left_out, 0) as left_out, coalesce(corrected.clusters, 0) as clusters,
    corrected.p_mean, corrected.p_holm, corrected.from_mean
from corrected
full join unknown using (alone, benchmark, aggregation, ood_dataset, detector)
