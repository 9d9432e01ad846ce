-- title: AUROC from raw scores: how often an ID test sample outscores an OOD sample, ties half
-- argument model_: Only this model; null for all
-- argument detector_: Only this detector; null for all
-- argument dataset_: Only this OOD set; null for all
-- argument classes_ = null: Only these OOD classes, a list; null for all
-- argument benchmark_ = 'main': The benchmark
-- columns metrics: model, detector, ood_dataset, ood_class, aggregation, n_ood, auroc

-- id_rank is the share of ID scores below a score, ties half.
with class_sums as (
    select
        scores.model, scores.detector, scores.dataset as ood_dataset, samples.class_name as ood_class,
        unnest(['class', 'class_mean', 'pooled']) as aggregation, count(*) as n_ood, sum(scores.id_rank) as ranks
    from scores
    inner join datasets on datasets.dataset = scores.dataset and datasets.role = 'ood'
    inner join samples on samples.dataset = scores.dataset and samples.sample = scores.sample
    where
        scores.benchmark = benchmark_
        and (model_ is null or scores.model = model_)
        and (detector_ is null or scores.detector = detector_)
        and (dataset_ is null or scores.dataset = dataset_)
        and (classes_ is null or list_contains(classes_, samples.class_name))
    group by scores.model, scores.detector, scores.dataset, samples.class_name
)

select
    model, detector, ood_dataset, case when aggregation = 'class' then ood_class end as ood_class,
    aggregation, sum(n_ood)::bigint as n_ood,
    1 - case when aggregation = 'pooled' then sum(ranks) / sum(n_ood) else avg(ranks / n_ood) end as auroc
from class_sums
group by model, detector, ood_dataset, aggregation, case when aggregation = 'class' then ood_class end
