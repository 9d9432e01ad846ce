-- title: Own mistakes against OOD images, by detector
-- question: Which detector ranks a model's own mistakes best, and is it the one that tells OOD images best?
-- asked because: Whether to trust a prediction, and whether an image is OOD, are two questions; one score is often taken to answer both.
-- topic: detectors
-- plot: x=mean_auroc y=misclassification_auroc color=detector
-- param detector text = all: One detector, or all; places are among all
-- param ood text = all: One OOD set, or all: then the unweighted means over them
-- param benchmark text = main: The benchmark
-- param aggregation text = class_mean {class_mean, pooled}: How the OOD classes of a set are put together
-- columns selective: model, detector, n_id, accuracy, aurc, eaurc, augrc, misclassification_auroc, misclassification_fpr95
-- column place: Place of the detector among those of the model, by augrc, the best first; equal ones share it
-- column ood_sets: OOD sets that the means are over
-- column mean_auroc: Mean over OOD sets of the area under the ROC curve
-- column ood_place: Place of the detector among those of the model by it
-- column mean_oscr: Mean over OOD sets of the open-set classification rate
-- columns selective: lacking
with of_ood as (
    select model, detector, count(*) as ood_sets, avg(auroc) as mean_auroc
    from metrics
    where benchmark = $benchmark and aggregation = $aggregation and $ood in ('all', ood_dataset)
    group by model, detector
),

open_sets as (
    select model, detector, avg(oscr) as mean_oscr
    from oscr
    where benchmark = $benchmark and $ood in ('all', ood_dataset)
    group by model, detector
),

told as (
    select
        coalesce(own.model, of_ood.model) as model, coalesce(own.detector, of_ood.detector) as detector,
        own.n_id, own.accuracy, own.aurc, own.eaurc, own.augrc, own.misclassification_auroc, own.misclassification_fpr95,
        of_ood.ood_sets, of_ood.mean_auroc,
        case when own.model is null then 'not computed yet: run `featurestore score`' else own.lacking end as lacking
    from (from selective where benchmark = $benchmark) as own
    full join of_ood on of_ood.model = own.model and of_ood.detector = own.detector
),

placed as (
    select
        *,
        case when augrc is not null then rank() over (partition by model order by round(augrc, 9) nulls last) end as place,
        case
            when mean_auroc is not null then rank() over (partition by model order by round(mean_auroc, 9) desc nulls last)
        end as ood_place
    from told
)

select
    placed.model, placed.detector, placed.n_id, placed.accuracy, placed.aurc, placed.eaurc, placed.augrc,
    placed.misclassification_auroc, placed.misclassification_fpr95, placed.place, placed.ood_sets, placed.mean_auroc,
    placed.ood_place, open_sets.mean_oscr, placed.lacking
from placed
left join open_sets on open_sets.model = placed.model and open_sets.detector = placed.detector
where $detector in ('all', placed.detector)
order by placed.model, placed.place nulls last, placed.detector
