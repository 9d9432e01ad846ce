-- title: Accuracy against NINCO FPR
-- question: Do more accurate models reject more of the natural images of other classes?
-- finding: On NINCO, FPR falls with accuracy for most detectors; CLIP models with feature-based detectors are the exception.
-- topic: accuracy
-- plot: x=accuracy y=fpr95 color=pretraining shape=detector
-- param ood text = ninco: The OOD set
-- param benchmark text = main: The benchmark
-- param aggregation text = class_mean {class_mean, pooled}: How the OOD classes of a set are put together
-- param detector text = all: One detector, or all
-- column model: The model's name
-- column pretraining: Its pretraining data; null if unknown
-- column detector: The detector's name
-- column accuracy: Share of the ID test set that is classified correctly; null if unknown
-- column fpr95: Share of OOD accepted when 95 % of ID is accepted
-- column auroc: Area under the ROC curve
-- column n_ood: OOD samples
select model, pretraining, detector, accuracy, fpr95, auroc, n_ood
from results
where ood_dataset = $ood and aggregation = $aggregation and benchmark = $benchmark and $detector in ('all', detector)
order by round(fpr95, 9), model, detector
