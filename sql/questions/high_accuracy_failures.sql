-- title: Accurate models that fail unit-tests
-- question: Which of the most accurate models accept synthetic images as in-distribution, and which ones?
-- asked because: Mueller & Hein 2024 report that a high ID accuracy does not guarantee OOD detection, not even of synthetic
--   images.
-- topic: unit-tests
-- param unit_tests text = unit-tests: The dataset that holds the unit-tests
-- param benchmark text = main: The benchmark
-- param top integer = 5 [1, ]: How many of the most accurate models to look at
-- param threshold number = 0.1 [0, 1]: A unit-test fails above this fpr95
-- columns results: model, accuracy, detector
-- column failed: Unit-tests with fpr95 above the threshold, as measured
-- column worst: The unit-test with the highest fpr95, the first by name on ties
-- column worst_fpr95: Its fpr95
-- column failures: All that it fails as measured, worst first
-- column fails: Unit-tests that so many images tell to be failed: the 95 % interval of fpr95 is above the threshold; null where
--   intervals are not known
-- column undecided: Those whose interval has the threshold inside, whichever side fpr95 is on
-- column left_out: Models with unit-tests whose accuracy is not known, and which have no place in the ranking
with asked as (
    select *
    from results
    where ood_dataset = $unit_tests and aggregation = 'class' and benchmark = $benchmark
),

ranked as (
    select
        *, dense_rank() over (order by accuracy desc, model) as place, fpr95 > $threshold as measured_above,
        verdict(fpr95_low, fpr95_high, $threshold) as verdict
    from asked
    where accuracy is not null
)

select
    model,
    any_value(accuracy) as accuracy,
    detector,
    count(*) filter (where measured_above) as failed,
    first(ood_class order by fpr95 desc, ood_class) as worst,
    max(fpr95) as worst_fpr95,
    list(ood_class order by fpr95 desc, ood_class) filter (where measured_above) as failures,
    count_known(verdict, 'fails') as fails,
    count_known(verdict, 'undecided') as undecided,
    (select count(distinct model) from asked where accuracy is null) as left_out
from ranked
where place <= $top
group by model, detector
having bool_or(measured_above)
order by accuracy desc, model, failed desc, detector
