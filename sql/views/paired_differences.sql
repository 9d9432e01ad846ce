-- title: Differences of the metrics within each pair of recipes; of repeats their mean
-- columns pairs: ingredient, first, second
-- column first_value: Value of the ingredient in the first model, as text
-- column second_value: Value in the second model, as text
-- columns metrics: benchmark, detector, ood_dataset, ood_class, aggregation
-- column fpr95_difference: fpr95 of the second model minus fpr95 of the first
-- column auroc_difference: auroc of the second model minus auroc of the first
-- columns pairs: cluster
with runs as (
    select distinct model, recipe_of from ingredients
),

of_recipes as materialized (
    select
        runs.recipe_of as model, metrics.benchmark, metrics.detector, metrics.ood_dataset, metrics.ood_class,
        metrics.aggregation, avg(metrics.fpr95) as fpr95, avg(metrics.auroc) as auroc
    from metrics
    inner join runs on runs.model = metrics.model
    group by all
)

select
    pairs.ingredient, pairs.first, pairs.second, pairs.first_value, pairs.second_value,
    a.benchmark, a.detector, a.ood_dataset, a.ood_class, a.aggregation,
    b.fpr95 - a.fpr95 as fpr95_difference,
    b.auroc - a.auroc as auroc_difference,
    pairs.cluster
from pairs
inner join of_recipes as a on a.model = pairs.first
inner join of_recipes as b
    on b.model = pairs.second
    and b.benchmark = a.benchmark and b.detector = a.detector and b.ood_dataset = a.ood_dataset
    and b.aggregation = a.aggregation and b.ood_class is not distinct from a.ood_class
