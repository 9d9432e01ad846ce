-- title: Unit-tests: which models fail them, with which detector; a test fails a model if fpr95 is above 0.1
-- columns results: benchmark, model, detector
-- column ood_dataset: The dataset that holds the unit-tests; every OOD set is here, each of its classes as a test
-- column unit_test: The unit-test
-- column n_ood: Its samples
-- column fpr95: Share accepted as ID when 95 % of ID is accepted
-- column failed: Whether fpr95 is above 0.1
-- columns results: accuracy, pretraining, auroc, aupr_in, aupr_out
select
    benchmark, model, detector, ood_dataset, ood_class as unit_test, n_ood, fpr95, fpr95 > 0.1 as failed,
    accuracy, pretraining, auroc, aupr_in, aupr_out
from results
where aggregation = 'class'
