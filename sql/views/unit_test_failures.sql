-- title: Unit-tests: which models fail them, with which detector: a test fails a model if fpr95 is above 0.1
-- columns results: benchmark, model, detector
-- column ood_dataset: The dataset that holds the unit-tests; every OOD set is here, each of its classes as a test
-- column unit_test: The unit-test
-- column n_ood: Its samples
-- column fpr95: Share accepted as ID when 95 % of ID is accepted
-- column failed: Whether fpr95 is above 0.1, as measured on these images
-- columns results: accuracy, pretraining, auroc, aupr_in, aupr_out, fpr95_low, fpr95_high, auroc_low, auroc_high
-- column verdict: What so many images tell: fails (the 95 % interval of fpr95 is above 0.1), passes (all of it is at most 0.1) or
--   undecided; null where the interval is not known
select
    benchmark, model, detector, ood_dataset, ood_class as unit_test, n_ood, fpr95, fpr95 > 0.1 as failed,
    accuracy, pretraining, auroc, aupr_in, aupr_out, fpr95_low, fpr95_high, auroc_low, auroc_high,
    verdict(fpr95_low, fpr95_high, 0.1) as verdict
from results
where aggregation = 'class'
