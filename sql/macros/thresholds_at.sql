-- title: Thresholds that accept a share of the ID test samples, for every model and detector
-- argument tpr_: The share, from 0 to 1
-- argument model_ = null: Only this model; null for all
-- argument detector_ = null: Only this detector; null for all
-- argument benchmark_ = 'main': The benchmark
-- columns metrics: model, detector, id_dataset, n_id
-- column threshold: A sample is accepted where its score is at least this

-- NINCO's: the quantile of the ID scores at 1 - tpr, between two neighbours as numpy.quantile has it: DuckDB's own differs
-- from it in the last digit, which ties would feel. Only as many of the lowest scores are kept as can matter.
with id as (
    select datasets.dataset, floor((datasets.samples - 1) * round(1 - tpr_, 12))::bigint + 2 as most
    from datasets where datasets.role = 'id' and list_contains(datasets.benchmarks, benchmark_)
    order by datasets.dataset
    limit 1
),

lowest as (
    select
        scores.model, scores.detector, scores.dataset, count(*) as n_id,
        (count(*) - 1) * round(1 - tpr_, 12)::double as position,
        min(scores.score, (select most from id)) as ascending
    from scores
    where
        scores.benchmark = benchmark_
        and scores.dataset = (select dataset from id)
        and (model_ is null or scores.model = model_)
        and (detector_ is null or scores.detector = detector_)
    group by scores.model, scores.detector, scores.dataset
),

neighbours as (
    select
        lowest.*, position - floor(position) as part, ascending[floor(position)::bigint + 1] as low,
        coalesce(ascending[floor(position)::bigint + 2], low) as high
    from lowest
)

select
    neighbours.model, neighbours.detector, neighbours.dataset as id_dataset, neighbours.n_id,
    case when part < 0.5 then low + (high - low) * part else high - (high - low) * (1 - part) end as threshold
from neighbours
