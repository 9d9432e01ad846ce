-- title: Best detectors, as published
-- question: Which detector of the Mahalanobis++ paper has the lowest FPR on average over its models, and how often is it the best?
-- asked because: The Mahalanobis++ paper (arXiv 2505.18032) proposes Mahalanobis with normalised features, and judges it by the mean
--   FPR on several OOD sets; the numbers here are those on NINCO alone.
-- topic: published
-- column pretraining: Pretraining data of the models, all for every model, null where it is unknown
-- column detector: The detector's name
-- column models: Models
-- column wins: Models for which no detector has a lower fpr95 (ties count for each)
-- column mean_fpr95: Mean over models of the share of OOD accepted when 95 % of ID is accepted
with contest as (
    select *, fpr95 = min(fpr95) over (partition by dataset, model) as won
    from published
)

select
    case when grouping(pretraining) = 1 then 'all' else pretraining end as pretraining,
    detector, count(*) as models, count(*) filter (where won) as wins, avg(fpr95) as mean_fpr95
from contest
group by grouping sets ((detector), (pretraining, detector))
order by pretraining nulls last, round(mean_fpr95, 9), detector
