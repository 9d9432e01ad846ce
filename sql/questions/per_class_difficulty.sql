-- title: OOD classes that no model catches
-- question: Which OOD classes are accepted as in-distribution, whatever the model and detector?
-- asked because: A mean over classes hides those that every model accepts.
-- topic: samples
-- plot: x=mean_fpr95 y=ood_class color=ood_dataset
-- param ood text = all: One OOD set, or all
-- param detector text = all: One detector, or all
-- param threshold number = 0.1 [0, 1]: A model catches a class up to this fpr95
-- param benchmark text = main: The benchmark
-- column ood_dataset: The OOD set
-- column ood_class: The OOD class
-- column samples: Its samples
-- column judged: Models with a detector, each pair counted
-- column caught: Pairs with an fpr95 of at most the threshold
-- column best_fpr95: The lowest fpr95
-- column best_model: The model that has it, the first by name on ties
-- column best_detector: Its detector
-- column mean_fpr95: Mean fpr95 over the pairs
select
    ood_dataset, ood_class, max(n_ood) as samples, count(*) as judged,
    count(*) filter (where fpr95 <= $threshold) as caught, min(fpr95) as best_fpr95,
    arg_min(model, {'fpr95': fpr95, 'model': model, 'detector': detector}) as best_model,
    arg_min(detector, {'fpr95': fpr95, 'model': model, 'detector': detector}) as best_detector,
    avg(fpr95) as mean_fpr95
from metrics
where
    aggregation = 'class' and benchmark = $benchmark and $ood in ('all', ood_dataset) and $detector in ('all', detector)
group by ood_dataset, ood_class
order by caught / judged, round(best_fpr95, 9) desc, round(mean_fpr95, 9) desc, ood_dataset, ood_class
