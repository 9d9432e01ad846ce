-- title: Effects: what changing one ingredient of the recipe does, all else equal, over matched pairs of models
-- column ingredient: What differs between the two models of each pair: weight_decay, dropout, pretraining, …
-- column benchmark: The benchmark
-- column aggregation: class_mean or pooled
-- columns metrics: ood_dataset, detector
-- column from_value: Value of the ingredient in the first model of each pair; null in a row that only counts models left out
-- column to_value: Its value in the second
-- column pairs: Pairs of models that differ in this ingredient alone
-- column mean_difference: Mean of fpr95 with to_value minus fpr95 with from_value; below zero, to_value is better
-- column low: Lower end of the 95 % interval of the mean (Student's t); null for a single pair
-- column high: Its upper end
-- column improved: Pairs in which to_value has the lower fpr95
-- column worsened: Pairs in which it has the higher
-- column p: Two-sided p of the sign test on improved and worsened; pairs without a difference do not count
-- column mean_auroc_difference: The same difference for auroc
-- column left_out: Models with these metrics in no pair because their value of the ingredient is not known (null)

-- Every file is read once: pairs and paired_differences would read those of the models and of the metrics twice each.
with recipes as materialized (
    select model, ingredient, parts, others
    from ingredients
),

aggregates as materialized (
    select model, benchmark, aggregation, ood_dataset, detector, fpr95, auroc
    from metrics
    where ood_class is null
),

-- The pairs come first: whoever joins the metrics of all models with one another has thousands of rows for each that is left.
of_first as materialized (
    select
        first.ingredient, second.model as second,
        array_to_string(first.parts, '+') as from_value, array_to_string(second.parts, '+') as to_value,
        a.benchmark, a.aggregation, a.ood_dataset, a.detector, a.fpr95, a.auroc
    from recipes as first
    inner join recipes as second
        on second.ingredient = first.ingredient and second.others is not distinct from first.others
        and precedes(first.parts, second.parts)
    inner join aggregates as a on a.model = first.model
),

differences as (
    select
        a.ingredient, a.from_value, a.to_value, a.benchmark, a.aggregation, a.ood_dataset, a.detector,
        b.fpr95 - a.fpr95 as fpr95_difference, b.auroc - a.auroc as auroc_difference
    from of_first as a
    inner join aggregates as b
        on b.model = a.second and b.benchmark = a.benchmark and b.aggregation = a.aggregation
        and b.ood_dataset = a.ood_dataset and b.detector = a.detector
),

found as (
    select
        ingredient, split_part(ingredient, '+', 1) as alone, benchmark, aggregation, ood_dataset, detector,
        from_value, to_value, count(*) as pairs,
        avg(fpr95_difference) as mean_difference,
        student_t(count(*) - 1) * stddev_samp(fpr95_difference) / sqrt(count(*)) as half,
        count(*) filter (where fpr95_difference < 0) as improved,
        count(*) filter (where fpr95_difference > 0) as worsened,
        avg(auroc_difference) as mean_auroc_difference
    from differences
    group by all
),

unknown as (
    select
        recipes.ingredient as alone, aggregates.benchmark, aggregates.aggregation, aggregates.ood_dataset,
        aggregates.detector, count(*) as left_out
    from aggregates
    inner join recipes on recipes.model = aggregates.model
    where recipes.parts[1] is null and recipes.ingredient not in ('dropout+stochastic_depth', 'soup_of', 'recipe')
    group by all
)

select
    coalesce(found.ingredient, alone) as ingredient, benchmark, aggregation, ood_dataset, detector,
    found.from_value, found.to_value, coalesce(found.pairs, 0) as pairs,
    found.mean_difference, found.mean_difference - found.half as low, found.mean_difference + found.half as high,
    coalesce(found.improved, 0) as improved, coalesce(found.worsened, 0) as worsened,
    sign_test(coalesce(found.improved, 0), coalesce(found.worsened, 0)) as p,
    found.mean_auroc_difference, coalesce(unknown.left_out, 0) as left_out
from found
full join unknown using (alone, benchmark, aggregation, ood_dataset, detector)
