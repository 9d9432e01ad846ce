-- title: Accuracy against FPR, as published
-- question: Do more accurate models of the Mahalanobis++ paper reject more of NINCO?
-- asked because: Accuracy and FPR on NINCO are printed for 44 models and 16 detectors in arXiv 2505.18032; how closely they go
--   together differs between the detectors.
-- topic: published
-- plot: x=accuracy y=fpr95 color=pretraining shape=detector
-- param detector text = all: One detector, or all
-- columns published: model, pretraining, detector, accuracy, fpr95
select model, pretraining, detector, accuracy, fpr95
from published
where $detector in ('all', detector)
order by accuracy desc, model, detector
