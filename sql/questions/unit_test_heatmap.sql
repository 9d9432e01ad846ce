-- title: FPR of each unit-test
-- question: Which unit-tests does each model accept as in-distribution?
-- asked because: Each unit-test is easy, and fails a model for itself: with an FPR above 10 % at 95 % TPR, as counted in
--   arXiv 2505.18032, table 5.
-- topic: unit-tests
-- plot: heatmap x=unit_test y=model color=fpr95
-- param unit_tests text = unit-tests: The dataset that holds the unit-tests
-- param benchmark text = main: The benchmark
-- param detector text = mahalanobis: The detector
-- columns unit_test_failures: model, unit_test, fpr95, failed
select model, unit_test, fpr95, failed
from unit_test_failures
where ood_dataset = $unit_tests and benchmark = $benchmark and detector = $detector
order by model, fpr95 desc, unit_test
