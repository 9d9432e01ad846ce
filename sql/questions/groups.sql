-- title: Groups of OOD sets, as near and far
-- question: How well does each detector of each model tell each group of OOD sets, such as near and far OOD, from ID?
-- topic: detectors
-- plot: x=mean_fpr95 y=mean_auroc color=detector shape=ood_group
-- param group text = all: One group, or all; other stands for OOD sets that have none
-- param detector text = all: One detector, or all
-- param spectrum text = standard {standard, full}: The ID test set alone is ID, or the csid sets, too
-- param benchmark text = main: The benchmark
-- param aggregation text = pooled {class_mean, pooled}: How the OOD classes of a set are put together
-- column ood_group: The group that dataset add gave the OOD sets; other if none
-- columns metrics: model, detector
-- column ood_datasets: OOD sets of the group that are judged
-- column missing: OOD sets of the group in the benchmark that are not judged: with some missing, means are of other sets
-- column mean_fpr95: Unweighted mean of their FPR95, as OpenOOD reports groups
-- column mean_auroc: Unweighted mean of their AUROC
-- column mean_aupr_in: Unweighted mean of their area under the precision-recall curve, ID positive
-- column mean_aupr_out: The same, OOD positive
with ood_sets as (
    select dataset, coalesce(ood_group, 'other') as ood_group,
        count(*) over (partition by coalesce(ood_group, 'other')) as held
    from datasets
    where role = 'ood' and list_contains(benchmarks, $benchmark)
)

select
    ood_sets.ood_group, spectra.model, spectra.detector, count(*) as ood_datasets,
    any_value(ood_sets.held) - count(*) as missing, avg(spectra.fpr95) as mean_fpr95, avg(spectra.auroc) as mean_auroc,
    avg(spectra.aupr_in) as mean_aupr_in, avg(spectra.aupr_out) as mean_aupr_out
from spectra
inner join ood_sets on ood_sets.dataset = spectra.ood_dataset
where
    spectra.spectrum = $spectrum and spectra.benchmark = $benchmark and spectra.aggregation = $aggregation
    and $group in ('all', ood_sets.ood_group) and $detector in ('all', spectra.detector)
group by ood_sets.ood_group, spectra.model, spectra.detector
order by ood_sets.ood_group, round(mean_auroc, 9) desc, spectra.detector, spectra.model
