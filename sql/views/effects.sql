-- title: Effects: what changing one ingredient of the recipe does, all else equal, over matched pairs of models
-- column ingredient: What differs between the two models of each pair: weight_decay, dropout, pretraining, …
-- column benchmark: The benchmark
-- column aggregation: class_mean or pooled
-- column ood_dataset: The OOD set
-- column detector: The detector's name
-- column from_value: Value of the ingredient in the first model of each pair; null in a row that only counts models left out
-- column to_value: Its value in the second
-- column pairs: Pairs of models that differ in this ingredient alone
-- column mean_difference: Mean of fpr95 with to_value minus fpr95 with from_value; below zero, to_value is better
-- column low: Lower end of the 95 % interval of the mean (Student's t); null for a single pair
-- column high: Its upper end
-- column improved: Pairs in which to_value has the lower fpr95
-- column worsened: Pairs in which it has the higher
-- column p: Two-sided p of the sign test on improved and worsened; pairs without a difference do not count
-- column mean_auroc_difference: The same difference for auroc
-- column left_out: Models with these metrics in no pair because their value of the ingredient is not known (null)
with found as (
    select
        ingredient, benchmark, aggregation, ood_dataset, detector, first_value as from_value, second_value as to_value,
        count(*) as pairs,
        avg(fpr95_difference) as mean_difference,
        student_t(count(*) - 1) * stddev_samp(fpr95_difference) / sqrt(count(*)) as half,
        count(*) filter (where fpr95_difference < 0) as improved,
        count(*) filter (where fpr95_difference > 0) as worsened,
        avg(auroc_difference) as mean_auroc_difference
    from paired_differences
    where ood_class is null
    group by all
),

unknown as (
    select
        recipes.ingredient, metrics.benchmark, metrics.aggregation, metrics.ood_dataset, metrics.detector,
        count(*) as left_out
    from metrics
    inner join (
        select
            models.model,
            unnest(
                [
                    case when architecture is null then 'architecture' end,
                    case when input_size is null then 'resolution' end,
                    case when pretraining is null then 'pretraining' end,
                    case when weight_decay is null then 'weight_decay' end,
                    case when dropout is null then 'dropout' end,
                    case when stochastic_depth is null then 'stochastic_depth' end,
                    case when augmentation is null then 'augmentation' end,
                    case when finetune_dataset is null then 'finetune_dataset' end,
                    case when finetune_lr is null then 'finetune_lr' end,
                    case when finetune_steps is null then 'finetune_steps' end,
                    case when finetune_epochs is null then 'finetune_epochs' end
                ]
            ) as ingredient
        from models
        -- An ensemble has members, and no recipe that could be unknown.
        where source is distinct from 'ensemble'
    ) as recipes on recipes.model = metrics.model and recipes.ingredient is not null
    where metrics.ood_class is null
    group by all
)

select
    coalesce(found.ingredient, unknown.ingredient) as ingredient,
    coalesce(found.benchmark, unknown.benchmark) as benchmark,
    coalesce(found.aggregation, unknown.aggregation) as aggregation,
    coalesce(found.ood_dataset, unknown.ood_dataset) as ood_dataset,
    coalesce(found.detector, unknown.detector) as detector,
    found.from_value, found.to_value, coalesce(found.pairs, 0) as pairs,
    found.mean_difference, found.mean_difference - found.half as low, found.mean_difference + found.half as high,
    coalesce(found.improved, 0) as improved, coalesce(found.worsened, 0) as worsened,
    sign_test(coalesce(found.improved, 0), coalesce(found.worsened, 0)) as p,
    found.mean_auroc_difference, coalesce(unknown.left_out, 0) as left_out
from found
full join unknown
    on unknown.ingredient = split_part(found.ingredient, '+', 1) and unknown.benchmark = found.benchmark
    and unknown.aggregation = found.aggregation and unknown.ood_dataset = found.ood_dataset
    and unknown.detector = found.detector
