-- title: Accuracy against FPR, as published
-- question: Do more accurate models of the Mahalanobis++ paper reject more of NINCO?
-- finding: Accuracy and FPR go together for good detectors, and hardly for poor ones (arXiv 2505.18032).
-- topic: published
-- plot: x=accuracy y=fpr95 color=pretraining shape=detector
-- param detector text = all: One detector, or all
-- column model: The model's name in the paper
-- column pretraining: Its pretraining data; null if unknown
-- column detector: The detector's name
-- column accuracy: Top-1 on the ImageNet validation set
-- column fpr95: Share of OOD accepted when 95 % of ID is accepted
select model, pretraining, detector, accuracy, fpr95
from published
where $detector in ('all', detector)
order by accuracy desc, model, detector
