-- title: Metrics: how well each detector of each model tells each OOD set from the ID test set; of the standard spectrum alone
-- column benchmark: The benchmark
-- column model: The model's name
-- column detector: The detector's name
-- column id_dataset: The ID test set
-- column ood_dataset: The OOD set
-- column ood_class: The OOD class; null on aggregates
-- column aggregation: class (one OOD class), class_mean (unweighted mean of the classes), pooled (all samples)
-- column n_id: ID samples
-- column n_ood: OOD samples
-- column fpr95: Share of OOD accepted when 95 % of ID is accepted (ID positive)
-- column auroc: Area under the ROC curve
-- column aupr_in: Area under the precision-recall curve by trapezoids, as OpenOOD has it, ID positive; where all scores are equal, average precision
-- column aupr_out: The same, OOD positive, scores negated
-- column fpr95_ood_positive: Share of ID rejected when 95 % of OOD is rejected (OOD positive)
-- column spectrum: standard: the ID test set alone is ID
-- column fpr95_low: Lower end of the 95 % interval of fpr95: what other images of ID and OOD might have given, the error of the
--   threshold counted; null in metrics of older versions, until score makes them again
-- column fpr95_high: Its upper end
-- column auroc_low: Lower end of the 95 % interval of auroc
-- column auroc_high: Its upper end
select * replace (coalesce(spectrum, 'standard') as spectrum)
from stored.metrics
where coalesce(spectrum, 'standard') = 'standard'
