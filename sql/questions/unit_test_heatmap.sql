-- title: FPR of each unit-test
-- question: Which unit-tests does each model accept as in-distribution?
-- asked because: Each unit-test is easy, and fails a model for itself: with an FPR above 10 % at 95 % TPR, as the notebook with
--   NINCO's plots counts (Bitterwolf, Mueller & Hein 2023).
-- topic: unit-tests
-- plot: heatmap x=unit_test y=model color=value
-- param unit_tests text = unit-tests: The dataset that holds the unit-tests
-- param metric text = fpr95 {fpr95, auroc, aupr_in, aupr_out}: The metric that is shown
-- param benchmark text = main: The benchmark
-- param detector text = mahalanobis: The detector
-- columns unit_test_failures: model, unit_test, fpr95, fpr95_low, fpr95_high, failed, verdict
-- column value: The metric
select
    model, unit_test, fpr95, fpr95_low, fpr95_high, failed, verdict,
    metric_of($metric, fpr95, auroc, aupr_in, aupr_out) as value
from unit_test_failures
where ood_dataset = $unit_tests and benchmark = $benchmark and detector = $detector
order by model, metric_sign($metric) * value desc, unit_test
