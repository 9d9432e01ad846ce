-- title: Results: metrics with the model's recipe and its accuracy on the ID test set
-- column benchmark: The benchmark
-- column model: The model's name
-- column detector: The detector's name
-- column ood_dataset: The OOD set
-- column ood_class: The OOD class; null on aggregates
-- column aggregation: class, class_mean or pooled
-- column n_ood: OOD samples
-- column fpr95: Share of OOD accepted when 95 % of ID is accepted
-- column auroc: Area under the ROC curve
-- column accuracy: Share of the ID test set whose label has the largest logit
-- column architecture: timm's name of the architecture
-- column pretraining: Pretraining data; null if unknown
-- column weight_decay: Weight decay
-- column dropout: Dropout rate
-- column stochastic_depth: Stochastic depth rate
-- column augmentation: Augmentation of training images
-- column finetune_lr: Peak learning rate of the finetuning
-- column input_size: Height and width of the input, in pixels
select
    metrics.benchmark, metrics.model, metrics.detector, metrics.ood_dataset, metrics.ood_class, metrics.aggregation,
    metrics.n_ood, metrics.fpr95, metrics.auroc, accuracy.top1 as accuracy,
    models.architecture, models.pretraining, models.weight_decay, models.dropout, models.stochastic_depth,
    models.augmentation, models.finetune_lr, models.input_size
from metrics
left join models on models.model = metrics.model
left join accuracy on accuracy.model = metrics.model and accuracy.dataset = metrics.id_dataset
