-- title: Benchmarks: datasets that are judged together
-- column benchmark: The benchmark
-- column fit_dataset: What detectors learn from; null if there is none
-- column val_dataset: What tunes them; null if there is none, and a tenth of the ID test set does
-- column id_dataset: The ID test set; null if there is none, and nothing can be judged
-- column ood_datasets: Number of OOD sets
-- column without_overlaps: Whether test images whose bytes are also in a dataset of another role are left out of the judging
with members as (
    select dataset, role, unnest(datasets.benchmarks) as benchmark from datasets
)

select
    members.benchmark,
    min(members.dataset) filter (where members.role = 'fit') as fit_dataset,
    min(members.dataset) filter (where members.role = 'val') as val_dataset,
    min(members.dataset) filter (where members.role = 'id') as id_dataset,
    count(*) filter (where members.role = 'ood') as ood_datasets,
    coalesce(any_value(settings.without_overlaps), false) as without_overlaps
from members
left join stored.benchmarks as settings on settings.benchmark = members.benchmark
group by members.benchmark
order by members.benchmark
