-- title: ID classes that accepted OOD samples are taken for
-- question: Where a model accepts samples of an OOD class, as which ID classes does it see them?
-- asked because: The ID class that an accepted sample is taken for tells why it is accepted.
-- topic: samples
-- param model text = all: One model, or all: with all, every model's activations on the set are read
-- param detector text = mahalanobis: The detector that accepts
-- param ood text = ninco: The OOD set
-- param ood_class text = all: One OOD class, or all
-- param tpr number = 0.95 [0, 1]: Share of the ID test samples that is accepted
-- param top integer = 3 [1, ]: How many ID classes to show of each OOD class
-- param benchmark text = main: The benchmark
-- reads scores: benchmark = $benchmark, detector = $detector, model = $model
-- reads activations: dataset = $ood, model = $model
-- column ood_class: The OOD class
-- column accepted: Its accepted samples, each counted for each model
-- column place: Place of the ID class among those that they are taken for, ties by label
-- column label: The ID class: index of the largest logit
-- column class_name: Its name in the ID test set; null where it has no sample there
-- column taken: Accepted samples that are taken for it
-- column share: Their share of the accepted
-- column models: Models that take one for it
with accepted as (
    select scores.model, scores.sample, samples.class_name as ood_class
    from scores
    inner join thresholds_at($tpr, detector_ := $detector, benchmark_ := $benchmark) as t on t.model = scores.model
    inner join samples on samples.dataset = scores.dataset and samples.sample = scores.sample
    where
        scores.benchmark = $benchmark and scores.dataset = $ood and scores.detector = $detector
        and $model in ('all', scores.model) and $ood_class in ('all', samples.class_name) and scores.score >= t.threshold
),

predicted as (
    select model, sample, list_position(logits, list_max(logits)) - 1 as label
    from activations
    where dataset = $ood and $model in ('all', model)
),

names as (
    select samples.label, min(samples.class_name) as class_name
    from samples
    inner join datasets on datasets.dataset = samples.dataset
    where datasets.role = 'id' and list_contains(datasets.benchmarks, $benchmark)
    group by samples.label
),

counted as (
    select
        accepted.ood_class, predicted.label, count(*) as taken, count(distinct accepted.model) as models,
        sum(count(*)) over (partition by accepted.ood_class)::bigint as accepted,
        row_number() over (partition by accepted.ood_class order by count(*) desc, predicted.label) as place
    from accepted
    inner join predicted on predicted.model = accepted.model and predicted.sample = accepted.sample
    group by accepted.ood_class, predicted.label
)

select
    counted.ood_class, counted.accepted, counted.place, counted.label, names.class_name, counted.taken,
    counted.taken / counted.accepted as share, counted.models
from counted
left join names on names.label = counted.label
where counted.place <= $top
order by counted.accepted desc, counted.ood_class, counted.place
