-- title: Soups against their ingredients
-- question: Does a model whose weights are the average of several reject more OOD samples than these do?
-- asked because: Soups are made for accuracy (Wortsman et al. 2022); Mueller & Hein 2024 report no consistent advantage of them in
--   OOD detection.
-- topic: recipes
-- plot: x=mean_value y=value color=detector
-- param metric text = fpr95 {fpr95, auroc, aupr_in, aupr_out}: The metric that is shown
-- param benchmark text = main: The benchmark
-- param aggregation text = class_mean {class_mean, pooled}: How the OOD classes of a set are put together
-- column soup: The soup's name
-- columns results: ood_dataset, detector
-- column fpr95: The soup's share of OOD accepted when 95 % of ID is accepted
-- column ingredients: Its ingredients with these metrics
-- column missing: Its ingredients without them, which do not count here
-- column mean_fpr95: Mean fpr95 of the ingredients
-- column best: The ingredient with the best metric, the first by name on ties
-- column best_fpr95: Its fpr95
-- column value: The metric of the soup
-- column mean_value: Mean of the metric over the ingredients
-- column best_value: The metric of the best of them
-- column difference: The soup's metric minus the ingredients' mean; the soup is better below zero of fpr95, above it of the others
-- column auroc: The soup's area under the ROC curve
-- column mean_auroc: Mean of the ingredients
-- column accuracy: The soup's accuracy; null if unknown
-- column mean_accuracy: Mean of the ingredients, where it is known
with soups as (
    -- A layer of a soup is compared with the same layer of its ingredients.
    select model, unnest(soup_of) || coalesce('@' || feature, '') as ingredient
    from models
    where soup_of is not null
),

asked as materialized (
    select
        model, ood_dataset, detector, fpr95, auroc, accuracy,
        metric_of($metric, fpr95, auroc, aupr_in, aupr_out) as value, metric_sign($metric) * value as loss
    from results
    where benchmark = $benchmark and aggregation = $aggregation
)

select
    whole.model as soup, whole.ood_dataset, whole.detector, any_value(whole.fpr95) as fpr95,
    count(part.model) as ingredients, count(*) - count(part.model) as missing,
    avg(part.fpr95) as mean_fpr95, arg_min(part.model, {'loss': part.loss, 'model': part.model}) as best,
    arg_min(part.fpr95, {'loss': part.loss, 'model': part.model}) as best_fpr95,
    any_value(whole.value) as value, avg(part.value) as mean_value,
    arg_min(part.value, {'loss': part.loss, 'model': part.model}) as best_value, any_value(whole.value) - avg(part.value) as difference,
    any_value(whole.auroc) as auroc, avg(part.auroc) as mean_auroc,
    any_value(whole.accuracy) as accuracy, avg(part.accuracy) as mean_accuracy
from soups
inner join asked as whole on whole.model = soups.model
left join asked as part
    on part.model = soups.ingredient and part.ood_dataset = whole.ood_dataset and part.detector = whole.detector
group by whole.model, whole.ood_dataset, whole.detector
order by soup, ood_dataset, detector
