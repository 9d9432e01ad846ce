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
with pretrainings as (
    select * from pairs where ingredient = 'pretraining'
),

-- For each change of pretraining, the OOD sets of which something is said, and their classes that are seen.
seen as (
    select
        changes.first_value, changes.second_value, said.dataset,
        coalesce(list_distinct(list(said.ood_class) filter (where said.ood_class is not null)), []) as classes
    from (select distinct first_value, second_value from pretrainings) as changes
    inner join seen_classes as said on said.pretraining in (changes.first_value, changes.second_value)
    group by all
),

runs as (
    select distinct model, recipe_of from ingredients
),

of_classes as materialized (
    select
        runs.recipe_of as model, metrics.detector, metrics.ood_dataset, metrics.ood_class,
        avg(metric_of($metric, metrics.fpr95, metrics.auroc, metrics.aupr_in, metrics.aupr_out)) as shown,
        avg(metrics.auroc) as auroc,
        max(case when $aggregation = 'pooled' then metrics.n_ood else 1 end) as weight
    from metrics
    inner join runs on runs.model = metrics.model
    where
        metrics.benchmark = $benchmark and metrics.aggregation = 'class'
        and metrics.ood_dataset in (select dataset from seen_classes)
        and not ($aggregation = 'pooled' and $metric in ('aupr_in', 'aupr_out'))
    group by all
),

-- A share of samples is the mean of the shares of classes, weighted by their sizes.
of_pairs as (
    select
        pretrainings.first, pretrainings.second, pretrainings.first_value, pretrainings.second_value, pretrainings.cluster,
        a.ood_dataset, a.detector, sum(a.weight * (b.shown - a.shown)) / sum(a.weight) as difference,
        sum(a.weight * (b.auroc - a.auroc)) / sum(a.weight) as auroc_difference
    from pretrainings
    inner join of_classes as a on a.model = pretrainings.first
    inner join of_classes as b
        on b.model = pretrainings.second and b.detector = a.detector
        and b.ood_dataset = a.ood_dataset and b.ood_class = a.ood_class
    inner join seen
        on seen.first_value = pretrainings.first_value and seen.second_value = pretrainings.second_value
        and seen.dataset = a.ood_dataset and not list_contains(seen.classes, a.ood_class)
    group by all
),

of_clusters as (
    select
        ood_dataset, detector, first_value, second_value, cluster,
        avg(difference) as difference, avg(auroc_difference) as auroc_difference
    from of_pairs
    group by all
),

unseen as (
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
from effects_of($metric) as whole
left join datasets on datasets.dataset = whole.ood_dataset
left join seen
    on seen.first_value = whole.from_value and seen.second_value = whole.to_value and seen.dataset = whole.ood_dataset
left join unseen
    on unseen.first_value = whole.from_value and unseen.second_value = whole.to_value
    and unseen.ood_dataset = whole.ood_dataset and unseen.detector = whole.detector
where whole.ingredient = 'pretraining' and whole.benchmark = $benchmark and whole.aggregation = $aggregation
order by whole.ood_dataset, round(whole.mean_difference, 9) nulls last, whole.detector, whole.from_value, whole.to_value
