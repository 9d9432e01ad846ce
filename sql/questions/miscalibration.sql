-- title: Confidence against accuracy, by model
-- question: How far is each model's confidence from its accuracy, and is it too sure or too unsure?
-- asked because: Detectors on logits read the same confidence; where it is off, so may be a threshold that was chosen on another model.
-- topic: accuracy
-- plot: x=accuracy y=ece color=pretraining shape=dataset
-- param benchmark text = main: The benchmark
-- column dataset: The ID test set, or one under a covariate shift
-- columns models: model, pretraining
-- columns calibration: n, unlabelled, accuracy, confidence
-- column overconfidence: confidence less accuracy: positive where the model is too sure
-- columns calibration: ece, ece_equal_mass, nll, brier, lacking
with told as (
    select
        coalesce(calibration.model, accuracy.model) as model, coalesce(calibration.dataset, accuracy.dataset) as dataset,
        calibration.n, calibration.unlabelled, coalesce(calibration.accuracy, accuracy.top1) as accuracy,
        calibration.confidence, calibration.confidence - calibration.accuracy as overconfidence, calibration.ece,
        calibration.ece_equal_mass, calibration.nll, calibration.brier,
        case
            when calibration.model is null then 'not computed yet: run `featurestore score`' else calibration.lacking
        end as lacking
    from calibration
    full join accuracy on accuracy.model = calibration.model and accuracy.dataset = calibration.dataset
)

select
    told.dataset, told.model, models.pretraining, told.n, told.unlabelled, told.accuracy, told.confidence,
    told.overconfidence, told.ece, told.ece_equal_mass, told.nll, told.brier, told.lacking
from told
inner join datasets on datasets.dataset = told.dataset
left join models on models.model = told.model
where datasets.role in ('id', 'csid') and list_contains(datasets.benchmarks, $benchmark)
order by told.dataset, round(told.ece, 9) nulls last, told.model
