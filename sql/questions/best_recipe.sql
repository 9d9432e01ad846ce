-- title: Best recipes, ranked
-- question: Which training recipes have the lowest false positive rate with a detector on an OOD set?
-- asked because: Mueller & Hein 2024 advise ImageNet-21k pretraining with more weight decay and a small finetuning rate
--   (see best_practice); a ranking of all recipes shows what else leads.
-- topic: recipes
-- param ood text = ninco: The OOD set
-- param detector text = mahalanobis: The detector
-- param metric text = fpr95 {fpr95, auroc, aupr_in, aupr_out}: The metric that is shown
-- param benchmark text = main: The benchmark
-- param aggregation text = class_mean {class_mean, pooled}: How the OOD classes of a set are put together
-- param top integer = 20 [1, ]: How many places to show
-- column place: Place by the mean of the metric, the best first; ties share one
-- columns results: short_architecture, pretraining
-- column augmentation: Augmentation of training images; this and what follows null if unknown or not used
-- columns results: weight_decay, dropout, stochastic_depth, finetune_lr, input_size
-- column models: Models of this recipe
-- column mean_fpr95: Mean over them of the share of OOD accepted when 95 % of ID is accepted
-- column mean_auroc: Mean over them of the area under the ROC curve
-- column mean_value: Mean over them of the metric
-- column mean_accuracy: Mean over them of the ID accuracy, where it is known
-- column left_out: Models of the whole ranking that are left out because their pretraining is not known
with asked as (
    select *, metric_of($metric, fpr95, auroc, aupr_in, aupr_out) as value
    from results
    where ood_dataset = $ood and detector = $detector and benchmark = $benchmark and aggregation = $aggregation
),

recipes as (
    select
        short_architecture, pretraining, augmentation, weight_decay, dropout, stochastic_depth, finetune_lr, input_size,
        count(*) as models, avg(fpr95) as mean_fpr95, avg(auroc) as mean_auroc,
        avg(value) as mean_value, avg(accuracy) as mean_accuracy
    from asked
    where pretraining is not null
    group by all
)

select
    rank() over (order by round(metric_sign($metric) * mean_value, 9)) as place,
    short_architecture, pretraining, augmentation, weight_decay, dropout, stochastic_depth, finetune_lr, input_size,
    models, mean_fpr95, mean_auroc, mean_value, mean_accuracy,
    (select count(*) from asked where pretraining is null) as left_out
from recipes
qualify place <= $top
order by
    place, short_architecture, pretraining, augmentation nulls last, weight_decay nulls last, dropout nulls last,
    stochastic_depth nulls last, finetune_lr nulls last, input_size nulls last
