-- title: Accuracy against NINCO FPR
-- question: Do more accurate models reject more of the natural images of other classes?
-- asked because: Mueller & Hein 2024 report that more accurate ViTs do better on NINCO.
-- topic: accuracy
-- plot: x=accuracy y=value color=pretraining shape=detector
-- param ood text = ninco: The OOD set
-- param metric text = fpr95 {fpr95, auroc, aupr_in, aupr_out}: The metric that is shown
-- param benchmark text = main: The benchmark
-- param aggregation text = class_mean {class_mean, pooled}: How the OOD classes of a set are put together
-- param detector text = all: One detector, or all
-- columns results: model, pretraining, detector, accuracy, fpr95, auroc
-- column value: The metric
-- columns results: n_ood, weight_decay, finetune_lr, augmentation
select
    model, pretraining, detector, accuracy, fpr95, auroc, metric_of($metric, fpr95, auroc, aupr_in, aupr_out) as value,
    n_ood, weight_decay, finetune_lr, augmentation
from results
where ood_dataset = $ood and aggregation = $aggregation and benchmark = $benchmark and $detector in ('all', detector)
order by round(metric_sign($metric) * value, 9), model, detector
