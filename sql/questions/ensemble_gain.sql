-- title: Ensembles against their best member
-- question: How much does a combination of models and detectors reject beyond the best of its members?
-- asked because: Models that fail on different unit-tests may make up for one another.
-- topic: detectors
-- plot: x=best_value y=value color=ood_dataset shape=combination
-- param metric text = fpr95 {fpr95, auroc, aupr_in, aupr_out}: The metric that is shown
-- param benchmark text = main: The benchmark
-- param aggregation text = class_mean {class_mean, pooled}: How the OOD classes of a set are put together
-- column ensemble: The ensemble's name
-- column combination: How scores are combined: mean-rank, mean-z or weighted
-- column ood_dataset: The OOD set
-- column fpr95: The ensemble's share of OOD accepted when 95 % of ID is accepted
-- column members: Its members, models with a detector, that have these metrics
-- column missing: Its members without them, which do not count here
-- column best: The member with the best metric on this OOD set, as model/detector, the first by name on ties
-- column best_fpr95: Its fpr95
-- column value: The metric of the ensemble
-- column best_value: That of the best member
-- column gain: By how much the ensemble's metric is the better one; below zero, the member's is
-- column mean_fpr95: Mean fpr95 of the members
-- column auroc: The ensemble's area under the ROC curve
-- column best_auroc: The highest of the members'
with members as (
    select
        model, unnest(json_extract_string(recipe, '$.ensemble_of[*]')) as member,
        split_part(member, '/', 1) as member_model, split_part(member, '/', 2) as member_detector
    from models
    where source = 'ensemble'
),

judged as (
    select *, metric_of($metric, fpr95, auroc, aupr_in, aupr_out) as value, metric_sign($metric) * value as loss
    from metrics
    where benchmark = $benchmark and aggregation = $aggregation
)

select
    whole.model as ensemble, whole.detector as combination, whole.ood_dataset, any_value(whole.fpr95) as fpr95,
    count(part.model) as members, count(*) - count(part.model) as missing,
    arg_min(members.member, {'loss': part.loss, 'member': members.member}) filter (where part.model is not null) as best,
    arg_min(part.fpr95, {'loss': part.loss, 'member': members.member}) filter (where part.model is not null) as best_fpr95,
    any_value(whole.value) as value,
    arg_min(part.value, {'loss': part.loss, 'member': members.member}) filter (where part.model is not null) as best_value,
    min(part.loss) - any_value(whole.loss) as gain,
    avg(part.fpr95) as mean_fpr95, any_value(whole.auroc) as auroc, max(part.auroc) as best_auroc
from members
inner join judged as whole on whole.model = members.model
left join judged as part
    on part.model = members.member_model and part.detector = members.member_detector
    and part.ood_dataset = whole.ood_dataset
group by whole.model, whole.detector, whole.ood_dataset
order by ensemble, combination, ood_dataset
