-- title: Images that are in two datasets of a benchmark
-- question: Which datasets of a benchmark hold images of equal bytes?
-- topic: samples
-- param benchmark text = all: One benchmark, or all
-- column benchmark: The benchmark
-- column seriousness: 1 (id and fit, or ood and id), 2 (id or ood and another role), 3 (other roles), 4 (two sets of one role), 5 (one set)
-- column dataset: The dataset that holds some of another's images; the one that judges, where roles differ
-- column role: Its role
-- column other_dataset: The other one; the same for images that one dataset holds more than once
-- column other_role: Its role
-- column samples: Samples of the dataset whose bytes are also in the other, or once more in the same
-- column other_samples: Samples of the other dataset whose bytes are also in this one
-- column share: Share of the dataset's samples

-- Few digests occur more than once: only these are joined, and numbers find them sooner than texts. Datasets without
-- digests have no rows.
with shared as (
    select contents.digest, contents.dataset, count(*) as samples
    from contents
    where
        contents.digest is not null
        and hash(contents.digest) in (select hash(digest) from contents group by hash(digest) having count(*) > 1)
    group by contents.digest, contents.dataset
),

pairs_of as (
    select a.dataset, b.dataset as other_dataset, sum(a.samples)::bigint as samples, sum(b.samples)::bigint as other_samples
    from shared as a
    inner join shared as b on b.digest = a.digest and (b.dataset <> a.dataset or a.samples > 1)
    group by a.dataset, b.dataset
),

members as (
    select dataset, role, samples, list_position(['fit', 'val', 'id', 'csid', 'ood'], role) as place, unnest(benchmarks) as benchmark
    from datasets
)

select
    a.benchmark,
    case
        when a.dataset = b.dataset then 5
        when a.role = b.role then 4
        when (a.role, b.role) in (('id', 'fit'), ('ood', 'id')) then 1
        when a.role in ('id', 'ood') or b.role = 'id' then 2
        else 3
    end as seriousness,
    a.dataset, a.role, b.dataset as other_dataset, b.role as other_role, pairs_of.samples, pairs_of.other_samples,
    pairs_of.samples / a.samples as share
from pairs_of
inner join members as a on a.dataset = pairs_of.dataset and $benchmark in ('all', a.benchmark)
inner join members as b on b.dataset = pairs_of.other_dataset and b.benchmark = a.benchmark
where (a.place, a.dataset) >= (b.place, b.dataset)
order by seriousness, pairs_of.samples desc, a.benchmark, a.dataset, b.dataset
