-- title: Best detector per OOD set
-- question: Which detector has the lowest false positive rate, on average over models, and how often is it the best of its model?
-- finding: The exact type of pretraining has a strong impact on which method works well (arXiv 2405.17447, abstract).
-- topic: detectors
-- plot: heatmap x=detector y=pretraining color=mean_value
-- param metric text = fpr95 {fpr95, auroc, aupr_in, aupr_out}: The metric that is shown
-- param benchmark text = main: The benchmark
-- param aggregation text = class_mean {class_mean, pooled}: How the OOD classes of a set are put together
-- columns results: ood_dataset, pretraining, detector
-- column models: Models scored by the detector
-- column wins: Models for which no detector is better by the metric (ties count for each)
-- column mean_fpr95: Mean over models of the share of OOD accepted when 95 % of ID is accepted
-- column mean_auroc: Mean over models of the area under the ROC curve
-- column mean_value: Mean over models of the metric
with contest as (
    select
        *, metric_of($metric, fpr95, auroc, aupr_in, aupr_out) as value, metric_sign($metric) * value as loss,
        loss = min(loss) over (partition by ood_dataset, model) as won
    from results
    where benchmark = $benchmark and aggregation = $aggregation
)

select
    ood_dataset,
    pretraining,
    detector,
    count(*) as models,
    count(*) filter (where won) as wins,
    avg(fpr95) as mean_fpr95,
    avg(auroc) as mean_auroc,
    avg(value) as mean_value
from contest
group by ood_dataset, pretraining, detector
order by ood_dataset, pretraining nulls last, round(avg(loss), 9), detector
