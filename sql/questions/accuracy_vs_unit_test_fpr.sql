-- title: Accuracy against unit-test FPR
-- question: Do more accurate models reject synthetic images that any model should reject?
-- asked because: Mueller & Hein 2024 report that some of the most accurate ViTs accept more than half of the unit-tests'
--   images, and that accuracy and FPR do not go together there with Mahalanobis-based detectors.
-- topic: accuracy
-- plot: x=accuracy y=mean_value color=pretraining shape=detector
-- param unit_tests text = unit-tests: The dataset that holds the unit-tests
-- param metric text = fpr95 {fpr95, auroc, aupr_in, aupr_out}: The metric that is shown
-- param benchmark text = main: The benchmark
-- param detector text = all: One detector, or all
-- columns results: model, pretraining, detector, accuracy
-- column mean_fpr95: Mean over the unit-tests of the share accepted as ID when 95 % of ID is accepted
-- column mean_value: Mean over the unit-tests of the metric
-- column failed: Unit-tests with fpr95 above 0.1, as measured
-- column unit_tests: Unit-tests in the dataset
-- column fails: Of them, those that so many images tell to be failed: the 95 % interval of fpr95 is above 0.1; null where intervals
--   are not known
-- column undecided: Those whose interval has 0.1 inside
-- columns results: weight_decay, finetune_lr, augmentation
select
    model,
    any_value(pretraining) as pretraining,
    detector,
    any_value(accuracy) as accuracy,
    avg(fpr95) as mean_fpr95,
    avg(metric_of($metric, fpr95, auroc, aupr_in, aupr_out)) as mean_value,
    count(*) filter (where fpr95 > 0.1) as failed,
    count(*) as unit_tests,
    count_known(verdict(fpr95_low, fpr95_high, 0.1), 'fails') as fails,
    count_known(verdict(fpr95_low, fpr95_high, 0.1), 'undecided') as undecided,
    any_value(weight_decay) as weight_decay,
    any_value(finetune_lr) as finetune_lr,
    any_value(augmentation) as augmentation
from results
where ood_dataset = $unit_tests and aggregation = 'class' and benchmark = $benchmark and $detector in ('all', detector)
group by model, detector
order by round(avg(metric_sign($metric) * metric_of($metric, fpr95, auroc, aupr_in, aupr_out)), 9), model, detector
