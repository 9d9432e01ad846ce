-- title: FPR at any TPR, from raw scores: the share of OOD samples that is accepted where a share of the ID test samples is
-- argument model_: Only this model; null for all
-- argument detector_: Only this detector; null for all
-- argument dataset_: Only this OOD set; null for all
-- argument tpr_: The share of the ID test samples, from 0 to 1
-- argument classes_ = null: Only these OOD classes, a list; null for all
-- argument benchmark_ = 'main': The benchmark
-- columns metrics: model, detector, ood_dataset, ood_class, aggregation, n_id, n_ood
-- column threshold: A sample is accepted where its score is at least this
-- column fpr: Share of OOD accepted
with class_counts as (
    select
        scores.model, scores.detector, scores.dataset as ood_dataset, samples.class_name as ood_class,
        unnest(['class', 'class_mean', 'pooled']) as aggregation, any_value(t.n_id) as n_id, any_value(t.threshold) as threshold,
        count(*) as n_ood, count(*) filter (where scores.score >= t.threshold) as accepted
    from scores
    inner join datasets on datasets.dataset = scores.dataset and datasets.role = 'ood'
    inner join samples on samples.dataset = scores.dataset and samples.sample = scores.sample
    inner join thresholds_at(tpr_, model_, detector_, benchmark_) as t
        on t.model = scores.model and t.detector = scores.detector
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
    aggregation, any_value(n_id) as n_id, sum(n_ood)::bigint as n_ood, any_value(threshold) as threshold,
    case when aggregation = 'pooled' then sum(accepted) / sum(n_ood) else avg(accepted / n_ood) end as fpr
from class_counts
group by model, detector, ood_dataset, aggregation, case when aggregation = 'class' then ood_class end
