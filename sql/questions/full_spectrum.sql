-- title: Standard against full-spectrum OOD detection
-- question: How much does a detector lose where ID images under a covariate shift (the csid sets) are ID, too?
-- topic: detectors
-- plot: x=fpr95 y=fpr95_full color=detector shape=ood_dataset
-- param ood text = all: One OOD set, or all
-- param detector text = all: One detector, or all
-- param benchmark text = main: The benchmark
-- param aggregation text = pooled {class_mean, pooled}: How the OOD classes of a set are put together
-- columns metrics: model, detector, ood_dataset
-- column n_id: Samples of the ID test set
-- column n_id_full: With those of the csid sets
-- column fpr95: Share of OOD accepted where 95 % of the ID test set is
-- column fpr95_full: Share of OOD accepted where 95 % of the ID test set and the csid sets, pooled, is
-- column fpr95_rise: Their difference; positive: the shift costs so much
-- column auroc: Area under the ROC curve, with the ID test set alone
-- column auroc_full: With the csid sets, too
-- column auroc_fall: Their difference; positive: the shift costs so much
select
    one.model, one.detector, one.ood_dataset, one.n_id, both_ids.n_id as n_id_full,
    one.fpr95, both_ids.fpr95 as fpr95_full, both_ids.fpr95 - one.fpr95 as fpr95_rise,
    one.auroc, both_ids.auroc as auroc_full, one.auroc - both_ids.auroc as auroc_fall
from spectra as one
inner join spectra as both_ids
    on both_ids.model = one.model and both_ids.detector = one.detector and both_ids.ood_dataset = one.ood_dataset
    and both_ids.benchmark = one.benchmark and both_ids.aggregation = one.aggregation and both_ids.spectrum = 'full'
where
    one.spectrum = 'standard' and one.benchmark = $benchmark and one.aggregation = $aggregation
    and $ood in ('all', one.ood_dataset) and $detector in ('all', one.detector)
order by one.ood_dataset, round(both_ids.auroc, 9) desc, one.detector, one.model
