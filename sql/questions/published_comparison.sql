-- title: Your numbers beside the published ones
-- question: How far are the lake's FPRs from those of the Mahalanobis++ paper for the same networks and detectors?
-- asked because: A reader who has the same networks can check the own numbers against those that are printed (arXiv 2505.18032,
--   its main table for NINCO).
-- topic: published
-- plot: x=published_fpr95 y=fpr95 color=detector
-- param rows text = all {all, mine}: All published numbers, or only those that the lake has, too
-- param benchmark text = main: The benchmark
-- param aggregation text = class_mean {class_mean, pooled}: How the OOD classes of a set are put together
-- column published_model: The model's name in the paper
-- columns results: detector, ood_dataset
-- column model: The lake's model; null where it has none
-- column published_fpr95: Published share of OOD accepted when 95 % of ID is accepted
-- column fpr95: The lake's
-- column difference: The lake's minus the published
-- column published_accuracy: Published accuracy
-- column accuracy: The lake's
with mine as (
    select
        results.*, coalesce(nullif(regexp_extract(models.source, '^timm:(.*)$', 1), ''), models.architecture) as timm_name
    from results
    inner join models on models.model = results.model
    -- What is published is of whole models, and not of their layers.
    where results.benchmark = $benchmark and results.aggregation = $aggregation and models.base_model is null
)

select
    published.model as published_model, published.detector, published.dataset as ood_dataset, mine.model,
    published.fpr95 as published_fpr95, mine.fpr95, mine.fpr95 - published.fpr95 as difference,
    published.accuracy as published_accuracy, mine.accuracy
from published
left join mine
    on (mine.timm_name = published.timm_name or mine.model = published.model)
    and mine.detector = published.detector and mine.ood_dataset = published.dataset
where $rows = 'all' or mine.model is not null
order by mine.model nulls last, published_model, published.detector, published.dataset
