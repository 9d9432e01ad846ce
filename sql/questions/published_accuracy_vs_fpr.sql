-- title: Accuracy against FPR, as published
-- question: Do more accurate models of the Mahalanobis++ paper reject more of NINCO?
-- finding: Accuracy and FPR go together for good detectors, and hardly for poor ones (arXiv 2505.18032).
-- topic: published
-- plot: x=accuracy y=fpr95 color=pretraining shape=detector
-- param detector text = all: One detector, or all
-- columns published: model, pretraining, detector, accuracy, fpr95
select model, pretraining, detector, accuracy, fpr95
from published
where $detector in ('all', detector)
order by accuracy desc, model, detector
