-- title: Agreement of detectors
-- question: Do two detectors put the samples of an OOD set in the same order?
-- asked because: Combining two detectors can gain where they do not err on the same samples.
-- topic: detectors
-- plot: heatmap x=second y=first color=mean_spearman
-- param ood text = all: One OOD set, or all
-- param model text = all: One model, or all
-- param benchmark text = main: The benchmark
-- reads scores: benchmark = $benchmark, dataset = $ood, model = $model
-- column ood_dataset: The OOD set
-- column first: A detector
-- column second: Another, later by name
-- column models: Models with scores by both
-- column mean_spearman: Mean over models of the rank correlation of the two over the samples
-- column lowest: The lowest of them
-- column highest: The highest
-- column left_out: Models for which one of the two gives all samples one score, so that there is no correlation
with ranked as (
    select
        scores.model, scores.dataset, scores.detector, scores.sample,
        rank() over tied + (count(*) over (partition by scores.model, scores.dataset, scores.detector, scores.score) - 1) / 2
            as place
    from scores
    inner join datasets on datasets.dataset = scores.dataset and datasets.role = 'ood'
    where scores.benchmark = $benchmark and $ood in ('all', scores.dataset) and $model in ('all', scores.model)
    window tied as (partition by scores.model, scores.dataset, scores.detector order by scores.score)
),

agreements as (
    select a.model, a.dataset, a.detector as first, b.detector as second, pearson(a.place, b.place) as spearman
    from ranked as a
    inner join ranked as b
        on b.model = a.model and b.dataset = a.dataset and b.sample = a.sample and b.detector > a.detector
    group by a.model, a.dataset, a.detector, b.detector
)

select
    dataset as ood_dataset, first, second, count(*) as models, avg(spearman) as mean_spearman,
    min(spearman) as lowest, max(spearman) as highest, count(*) - count(spearman) as left_out
from agreements
group by dataset, first, second
order by ood_dataset, round(mean_spearman, 9) desc nulls last, first, second
