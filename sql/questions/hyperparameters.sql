-- title: FPR against the constants of detectors
-- question: How does the false positive rate change with a constant of a detector, all else equal?
-- topic: detectors
-- plot: x=value y=mean_metric color=detector shape=constant
-- param constant text = all: One constant, or all
-- param base text = all: One detector, by its name without constants, or all
-- param ood text = all: One OOD set, or all
-- param metric text = fpr95 {fpr95, auroc, aupr_in, aupr_out}: The metric that is shown
-- param benchmark text = main: The benchmark
-- param aggregation text = class_mean {class_mean, pooled}: How the OOD classes of a set are put together
-- columns metrics: ood_dataset
-- column detector: The detector, by its name without constants
-- column constant: The constant that differs
-- column others: The values of its other constants, the same in all rows of a series, as a JSON object
-- column value: The value of the constant
-- column models: Models scored with every value of the series; the means are over these
-- column left_out: Models scored with this value and not with every other
-- column mean_fpr95: Mean over models of the share of OOD accepted when 95 % of ID is accepted; null without such a model
-- column mean_auroc: Mean over models of the area under the ROC curve; null likewise
-- column mean_metric: Mean over models of the metric; null likewise
-- column best: Models for which no value of the series has a better metric (ties count for each)

-- A default that follows from the model by a rule is no number, and in no series.
with constants as (
    select detector, base, hyperparameters, unnest(json_keys(hyperparameters)) as constant
    from detectors
),

valued as (
    select
        detector, base, constant,
        try_cast(json_extract_string(hyperparameters, concat('$.', constant)) as double) as value,
        json_merge_patch(hyperparameters, json_object(constant, null))::varchar as others
    from constants
),

judged as (
    select
        valued.base, valued.constant, valued.others, valued.value,
        metrics.ood_dataset, metrics.model, metrics.fpr95, metrics.auroc,
        metric_of($metric, metrics.fpr95, metrics.auroc, metrics.aupr_in, metrics.aupr_out) as metric,
        metric_sign($metric) * metric as loss
    from valued
    inner join metrics on metrics.detector = valued.detector
    where
        valued.value is not null and metrics.benchmark = $benchmark and metrics.aggregation = $aggregation
        and $constant in ('all', valued.constant) and $base in ('all', valued.base)
        and $ood in ('all', metrics.ood_dataset)
),

counted as (
    select
        *,
        count(*) over (partition by ood_dataset, base, constant, others, model) as values_of_model,
        count(distinct value) over (partition by ood_dataset, base, constant, others) as values_of_series,
        loss = min(loss) over (partition by ood_dataset, base, constant, others, model) as is_best
    from judged
)

select
    ood_dataset, base as detector, constant, others, value,
    count(*) filter (where values_of_model = values_of_series) as models,
    count(*) filter (where values_of_model < values_of_series) as left_out,
    avg(fpr95) filter (where values_of_model = values_of_series) as mean_fpr95,
    avg(auroc) filter (where values_of_model = values_of_series) as mean_auroc,
    avg(metric) filter (where values_of_model = values_of_series) as mean_metric,
    count(*) filter (where values_of_model = values_of_series and is_best) as best
from counted
where values_of_series > 1
group by ood_dataset, base, constant, others, value
order by ood_dataset, base, constant, others, value
