-- title: Results: metrics with the model's recipe and its accuracy on the ID test set
-- columns metrics: benchmark, model, detector, ood_dataset, ood_class, aggregation, n_ood, fpr95, auroc,
--   aupr_in, aupr_out, fpr95_low, fpr95_high, auroc_low, auroc_high
-- column accuracy: Share of the ID test set whose label has the largest logit; null if unknown
-- columns models: architecture, short_architecture, pretraining, weight_decay, dropout, stochastic_depth, augmentation, finetune_lr,
--   input_size
select
    metrics.benchmark, metrics.model, metrics.detector, metrics.ood_dataset, metrics.ood_class, metrics.aggregation,
    metrics.n_ood, metrics.fpr95, metrics.auroc, metrics.aupr_in, metrics.aupr_out,
    metrics.fpr95_low, metrics.fpr95_high, metrics.auroc_low, metrics.auroc_high, accuracy.top1 as accuracy,
    models.architecture, models.short_architecture, models.pretraining, models.weight_decay, models.dropout, models.stochastic_depth,
    models.augmentation, models.finetune_lr, models.input_size
from metrics
left join models on models.model = metrics.model
left join accuracy on accuracy.model = metrics.model and accuracy.dataset = metrics.id_dataset
