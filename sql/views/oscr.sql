-- title: Open-set classification rate: how far one threshold gives right answers on ID samples and rejects OOD samples
-- columns selective: benchmark, model, detector, id_dataset
-- column ood_dataset: The OOD set, all its samples pooled
-- columns selective: n_id
-- column n_ood: OOD samples
-- columns selective: accuracy
-- column oscr: Area under the share of ID accepted and right, against the share of OOD accepted; at most the accuracy
-- columns selective: lacking
select benchmark, model, detector, id_dataset, ood_dataset, n_id, n_ood, accuracy, oscr, lacking
from stored.selective
where ood_dataset is not null
