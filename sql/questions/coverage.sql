-- title: What the lake holds
-- question: How many models have which results, and which are incomplete?
-- topic: lake
-- param benchmark text = main: The benchmark
-- column detector: The detector's name
-- column ood_dataset: The OOD set of the benchmark
-- column models: Models in the lake
-- column judged: Models with metrics of this detector on this OOD set
-- column missing: Models without
-- column first_missing: The first of them by name
-- column samples: Samples of the OOD set
-- column least_samples: The fewest samples that one of the judged models was judged on; fewer where images could not be read, or do not judge
with cells as (
    select distinct metrics.detector, datasets.dataset as ood_dataset, datasets.samples
    from metrics
    cross join datasets
    where metrics.benchmark = $benchmark and datasets.role = 'ood' and list_contains(datasets.benchmarks, $benchmark)
)

select
    cells.detector, cells.ood_dataset, count(*) as models, count(metrics.model) as judged,
    count(*) - count(metrics.model) as missing,
    min(models.model) filter (where metrics.model is null) as first_missing,
    any_value(cells.samples) as samples, min(metrics.n_ood) as least_samples
from cells
cross join models
left join metrics
    on metrics.model = models.model and metrics.detector = cells.detector and metrics.ood_dataset = cells.ood_dataset
    and metrics.benchmark = $benchmark and metrics.aggregation = 'pooled'
group by cells.detector, cells.ood_dataset
order by missing desc, cells.detector, cells.ood_dataset
