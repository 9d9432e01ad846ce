-- title: Metrics in both spectra: those of the ID test set alone, and those with the csid sets joined to it (full-spectrum OOD detection)
-- columns metrics: benchmark, model, detector, id_dataset, ood_dataset, ood_class, aggregation
-- column n_id: ID samples, in the full spectrum those of the csid sets, too
-- columns metrics: n_ood, fpr95, auroc, aupr_in, aupr_out, fpr95_ood_positive
-- column spectrum: standard: the ID test set alone is ID; full: so are all csid sets of the benchmark, pooled, for the threshold, too
-- columns metrics: fpr95_low, fpr95_high, auroc_low, auroc_high
select * replace (coalesce(spectrum, 'standard') as spectrum)
from stored.metrics
