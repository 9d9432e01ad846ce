-- title: NINCO FPR against unit-test FPR
-- question: Do models that reject natural images of other classes reject synthetic images, too?
-- finding: Certain training schemes might only be effective for a specific type of out-distribution, but not in general
--   (arXiv 2405.17447, abstract).
-- topic: unit-tests
-- plot: x=value y=unit_test_value color=pretraining shape=detector
-- param ood text = ninco: The OOD set of natural images
-- param unit_tests text = unit-tests: The dataset that holds the unit-tests
-- param detector text = all: One detector, or all
-- param metric text = fpr95 {fpr95, auroc, aupr_in, aupr_out}: The metric that is shown
-- param benchmark text = main: The benchmark
-- param aggregation text = class_mean {class_mean, pooled}: How the OOD classes of the natural images are put together
-- columns results: model, pretraining, weight_decay, finetune_lr, augmentation, detector, accuracy
-- column fpr95: Share of the natural images accepted as ID when 95 % of ID is accepted
-- column unit_test_fpr95: Mean over the unit-tests of that share
-- column value: The metric on the natural images
-- column unit_test_value: Mean over the unit-tests of the metric
-- column failed: Unit-tests with fpr95 above 0.1, as measured
-- column unit_tests: Unit-tests in the dataset
-- column fails: Of them, those that so many images tell to be failed: the 95 % interval of fpr95 is above 0.1; null where intervals
--   are not known
-- column undecided: Those whose interval has 0.1 inside
with asked as (
    select
        *, metric_of($metric, fpr95, auroc, aupr_in, aupr_out) as shown, metric_sign($metric) * shown as loss,
        aggregation = 'class' as is_unit_test,
        -- Natural images are no unit-tests, and leave nothing unknown.
        case when is_unit_test then verdict(fpr95_low, fpr95_high, 0.1) else 'none' end as verdict
    from results
    where
        benchmark = $benchmark and $detector in ('all', detector)
        and (ood_dataset, aggregation) in (($ood, $aggregation), ($unit_tests, 'class'))
)

select
    model, any_value(pretraining) as pretraining, any_value(weight_decay) as weight_decay,
    any_value(finetune_lr) as finetune_lr, any_value(augmentation) as augmentation, detector, any_value(accuracy) as accuracy,
    any_value(fpr95) filter (where not is_unit_test) as fpr95,
    avg(fpr95) filter (where is_unit_test) as unit_test_fpr95,
    any_value(shown) filter (where not is_unit_test) as value,
    avg(shown) filter (where is_unit_test) as unit_test_value,
    count(*) filter (where is_unit_test and fpr95 > 0.1) as failed,
    count(*) filter (where is_unit_test) as unit_tests,
    case when bool_and(verdict is not null) then count(*) filter (where verdict = 'fails') end as fails,
    case when bool_and(verdict is not null) then count(*) filter (where verdict = 'undecided') end as undecided
from asked
group by model, detector
having count(distinct is_unit_test) = 2
order by round(any_value(loss) filter (where not is_unit_test), 9), model, detector
