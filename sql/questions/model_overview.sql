-- title: Models with their best detectors
-- question: How was each model trained, how accurate is it, and how well does its best detector do on each OOD set?
-- asked because: One look at all models tells which are worth a closer one, and how far accuracy and detection are apart.
-- topic: detectors
-- plot: x=accuracy y=value color=detector shape=ood_dataset
-- param metric text = fpr95 {fpr95, auroc, aupr_in, aupr_out}: The metric that the best detector is chosen by
-- param benchmark text = main: The benchmark
-- param aggregation text = class_mean {class_mean, pooled}: How the OOD classes of a set are put together
-- columns results: model
-- column recipe: How it was trained, in short words: what differs among these models; all that is known where that tells nothing
-- columns results: accuracy
-- column detector: Its detector with the best mean of the metric over the OOD sets, of those judged on the most; it is chosen by
--   the numbers that stand beside it, which flatters it
-- column detectors: How many it is the best of
-- columns results: ood_dataset, fpr95, auroc, fpr95_low, fpr95_high, auroc_low, auroc_high
-- column value: The metric
with judged as (
    select *, metric_of($metric, fpr95, auroc, aupr_in, aupr_out) as value, metric_sign($metric) * value as loss
    from results
    where benchmark = $benchmark and aggregation = $aggregation
),

best as (
    select model, arg_min(detector, (-sets, loss, detector)) as detector, count(*) as detectors
    from (
        select model, detector, count(loss) as sets, round(avg(loss), 9) as loss
        from judged
        group by model, detector
    )
    group by model
),

-- By place: what a model's recipe says there.
parts as (
    select
        model,
        unnest([
            case when source = 'ensemble' then 'ensemble' when pretraining = 'none' then 'no pretraining' else pretraining end,
            'soup of ' || len(soup_of),
            input_size || ' px',
            'aug ' || augmentation,
            format('wd {:.3g}', weight_decay),
            format('dropout {:.3g}', dropout),
            format('depth drop {:.3g}', stochastic_depth),
            format('lr {:.3g}', finetune_lr),
            short_architecture
        ]) as part,
        generate_subscripts(range(9), 1) as place
    from models
    where model in (select model from best)
),

told as (
    select
        *,
        min(part) over (partition by place) is distinct from max(part) over (partition by place)
        or count(part) over (partition by place) < count(*) over (partition by place) as differs
    from parts
),

recipes as (
    select
        model,
        coalesce(
            string_agg(part, ', ' order by place) filter (where differs), string_agg(part, ', ' order by place)
        ) as recipe
    from told
    group by model
)

select
    judged.model, recipes.recipe, judged.accuracy, best.detector, best.detectors, judged.ood_dataset, judged.fpr95,
    judged.auroc, judged.fpr95_low, judged.fpr95_high, judged.auroc_low, judged.auroc_high,
    judged.value
from best
inner join judged on judged.model = best.model and judged.detector = best.detector
left join recipes on recipes.model = best.model
order by judged.accuracy desc nulls last, judged.model, judged.ood_dataset
