-- title: Effect of pretraining, on matched pairs
-- question: What does another pretraining do to FPR and AUROC, all else equal, with and without the OOD classes that it has seen?
-- finding: The exact type of pretraining has a strong impact on OOD detection performance in general (arXiv 2405.17447,
--   abstract).
-- topic: recipes
-- plot: x=mean_difference y=detector color=to_value
-- param metric text = fpr95 {fpr95, auroc, aupr_in, aupr_out}: The metric that is shown
-- param benchmark text = main: The benchmark
-- param aggregation text = class_mean {class_mean, pooled}: How the OOD classes of a set are put together
-- columns effects_of: ood_dataset, detector, from_value, to_value, pairs, mean_difference, low, high, improved, worsened,
--   p, mean_auroc_difference, left_out, clusters, p_mean, p_holm
-- column classes: Classes of the OOD set
-- column seen_classes: Those of them that the data of one of the two pretrainings are said to hold, as in the view seen_classes;
--   null where nothing is said of the OOD set and either of the two
-- column unseen_difference: mean_difference on the other classes alone; null where nothing is said, none are left, or the metric
--   is a pooled area under precision-recall curves, which does not follow from that of classes
-- column unseen_low: Lower end of its 95 % interval (Student's t over clusters)
-- column unseen_high: Its upper end
-- column unseen_auroc_difference: mean_auroc_difference on these classes
with recipes as materialized (
    select * from ingredients where ingredient = 'pretraining' and complete
),

-- As in pairs, which would read the models once more.
pretrainings as materialized (
    select
        a.model as first, b.model as second, a.parts[1] as first_value, b.parts[1] as second_value,
        concat_ws(' → ', a.checkpoint, b.checkpoint) as cluster
    from recipes as a
    inner join recipes as b
        on b.others = a.others and precedes(a.parts, b.parts) and not (a.for_untrained and b.for_untrained)
    where a.model = a.recipe_of and b.model = b.recipe_of
),

-- For each change of pretraining, the OOD sets of which something is said, and their classes that are seen.
seen as materialized (
    select
        changes.first_value, changes.second_value, said.dataset,
        coalesce(list_distinct(list(said.ood_class) filter (where said.ood_class is not null)), []) as classes
    from (select distinct first_value, second_value from pretrainings) as changes
    inner join seen_classes as said on said.pretraining in (changes.first_value, changes.second_value)
    group by all
),

runs as (
    select distinct model, recipe_of from recipes
    where recipe_of in (select first from pretrainings union all select second from pretrainings)
),

of_classes as (
    select
        model, ood_dataset, detector, ood_class, auroc, metric_of($metric, fpr95, auroc, aupr_in, aupr_out) as shown,
        case when $aggregation = 'pooled' then n_ood else 1 end as weight
    from metrics
    where
        benchmark = $benchmark and aggregation = 'class'
        and not ($aggregation = 'pooled' and $metric in ('aupr_in', 'aupr_out'))
),

-- A share of samples is the mean of the shares of classes, weighted by their sizes.
of_models as materialized (
    select
        seen.first_value, seen.second_value, of_classes.model, of_classes.ood_dataset, of_classes.detector,
        sum(of_classes.weight * of_classes.shown) / sum(of_classes.weight) as shown,
        sum(of_classes.weight * of_classes.auroc) / sum(of_classes.weight) as auroc
    from of_classes
    inner join seen on seen.dataset = of_classes.ood_dataset
    where not list_contains(seen.classes, of_classes.ood_class)
    group by all
),

of_recipes as materialized (
    select
        of_models.first_value, of_models.second_value, runs.recipe_of as model, of_models.ood_dataset, of_models.detector,
        avg(of_models.shown) as shown, avg(of_models.auroc) as auroc
    from of_models
    inner join runs on runs.model = of_models.model
    group by all
),

of_first as materialized (
    select pretrainings.second, pretrainings.cluster, of_recipes.*
    from pretrainings
    inner join of_recipes
        on of_recipes.model = pretrainings.first
        and of_recipes.first_value = pretrainings.first_value and of_recipes.second_value = pretrainings.second_value
),

of_pairs as (
    select
        a.ood_dataset, a.detector, a.first_value, a.second_value, a.cluster,
        b.shown - a.shown as difference, b.auroc - a.auroc as auroc_difference
    from of_first as a
    inner join of_recipes as b
        on b.model = a.second and b.first_value = a.first_value and b.second_value = a.second_value
        and b.detector = a.detector and b.ood_dataset = a.ood_dataset
),

of_clusters as (
    select
        ood_dataset, detector, first_value, second_value, cluster,
        avg(difference) as difference, avg(auroc_difference) as auroc_difference
    from of_pairs
    group by all
),

unseen as materialized (
    select
        ood_dataset, detector, first_value, second_value, avg(difference) as difference,
        student_t(count(*) - 1) * stddev_samp(difference) / sqrt(count(*)) as half,
        avg(auroc_difference) as auroc_difference
    from of_clusters
    group by all
)

select
    whole.* exclude (ingredient, benchmark, aggregation, from_mean), datasets.classes,
    len(seen.classes) as seen_classes, unseen.difference as unseen_difference,
    unseen.difference - unseen.half as unseen_low, unseen.difference + unseen.half as unseen_high,
    unseen.auroc_difference as unseen_auroc_difference
from effects_of($metric, ingredient_ := 'pretraining') as whole
left join datasets on datasets.dataset = whole.ood_dataset
left join seen
    on seen.first_value = whole.from_value and seen.second_value = whole.to_value and seen.dataset = whole.ood_dataset
left join unseen
    on unseen.first_value = whole.from_value and unseen.second_value = whole.to_value
    and unseen.ood_dataset = whole.ood_dataset and unseen.detector = whole.detector
where whole.ingredient = 'pretraining' and whole.benchmark = $benchmark and whole.aggregation = $aggregation
order by whole.ood_dataset, round(whole.mean_difference, 9) nulls last, whole.detector, whole.from_value, whole.to_value
