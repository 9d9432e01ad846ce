-- title: Published: FPR of 44 ImageNet models with 16 detectors on NINCO, from the Mahalanobis++ paper (arXiv 2505.18032)
-- column model: The model's name in the paper
-- column timm_name: timm's name of the model; null where timm has none
-- column architecture: timm's name of the architecture; null where timm has none
-- column pretraining: Pretraining data, as in models; null if unknown
-- column detector: The detector's name, as in metrics; gmn is the paper's alone
-- column dataset: The OOD set: ninco
-- column fpr95: Share of OOD accepted when 95 % of ID is accepted, as printed
-- column accuracy: Top-1 on the ImageNet validation set, as printed
-- column source: Where the numbers were published
select model, timm_name, architecture, pretraining, detector, dataset, fpr95, accuracy, source
from stored.published
