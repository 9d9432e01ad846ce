-- title: The paper's best practice, among these models
-- question: Do models that follow the advice (ImageNet-21k pretraining, more weight decay, a small finetuning rate) accept
--   less OOD than the others?
-- finding: There is a best-practice training recipe for OOD detection with ViTs (arXiv 2405.17447, abstract).
-- asked because: Mueller & Hein 2024 advise ImageNet-21k pretraining with more weight decay, and finetuning at a small rate.
-- topic: recipes
-- plot: x=difference y=advice color=ood_dataset
-- param ood text = all: One OOD set, or all
-- param detector text = mahalanobis: The detector
-- param pretraining text = in21k: The pretraining that is advised
-- param weight_decay number = 0.1 [0, ]: A weight decay counts as larger from this on; that of pretraining, where it is told apart
-- param finetune_lr number = 0.01 [0, ]: A finetuning learning rate counts as small up to this
-- param metric text = fpr95 {fpr95, auroc, aupr_in, aupr_out}: The metric that is shown
-- param benchmark text = main: The benchmark
-- param aggregation text = class_mean {class_mean, pooled}: How the OOD classes of a set are put together
-- columns results: ood_dataset, detector
-- column advice: Which of pretraining, weight decay and finetuning rate the two groups are told apart by; or all three
-- column following: Models that follow it
-- column following_checkpoints: The pretrained checkpoints that these come from, as in the view ingredients: finetunes of one
--   count once, by their mean
-- column others: Models that do not follow it
-- column other_checkpoints: The checkpoints that these come from
-- column following_value: Mean over checkpoints of the metric of those that follow
-- column other_value: Mean over checkpoints of that of the others
-- column difference: The first minus the second; the advice holds below zero of fpr95, above it of the others. All else is not
--   equal: the *_effect questions compare matched pairs
-- column low: Lower end of its 95 % interval (Student's t, over checkpoints, as Welch has it where none is on both sides, and as in
--   pairs where all are; Bell & McCaffrey 2002); null with a single checkpoint on a side, and below two degrees of freedom, as of
--   two checkpoints against many: no interval of 95 % is known for so few
-- column high: Its upper end
-- column p: Two-sided p of the difference, likewise
-- column p_holm: The same corrected by Holm for the four rows of one OOD set and detector
-- column left_out: Models of which it is not known whether they follow
with asked as (
    select
        results.ood_dataset, results.detector,
        metric_of($metric, results.fpr95, results.auroc, results.aupr_in, results.aupr_out) as value,
        results.pretraining = $pretraining as is_pretrained,
        coalesce(models.pretrain_weight_decay, models.weight_decay) >= $weight_decay as is_decayed,
        results.finetune_lr <= $finetune_lr as is_gentle,
        of_checkpoints.checkpoint
    from results
    inner join models on models.model = results.model
    -- An ensemble comes from no checkpoint, and is left out.
    inner join (select distinct model, checkpoint from ingredients) as of_checkpoints on of_checkpoints.model = results.model
    where
        results.benchmark = $benchmark and results.aggregation = $aggregation and results.detector = $detector
        and $ood in ('all', results.ood_dataset)
),

advised as (
    select asked.*, unnest([
        {'advice': 'all three', 'follows': is_pretrained and is_decayed and is_gentle},
        {'advice': 'pretraining', 'follows': is_pretrained},
        {'advice': 'weight decay', 'follows': is_decayed},
        {'advice': 'finetuning rate', 'follows': is_gentle}
    ], recursive := true)
    from asked
),

-- Finetunes of one checkpoint may be on both sides.
checkpoints as (
    select
        ood_dataset, detector, advice, checkpoint, avg(value) filter (where follows) as following_value,
        avg(value) filter (where not follows) as other_value, count(*) filter (where follows) as following,
        count(*) filter (where not follows) as others, count(*) filter (where follows is null) as left_out
    from advised
    group by ood_dataset, detector, advice, checkpoint
),

-- What each adds to the error; of one on both sides the difference of the two.
weighed as (
    select
        *, count(following_value) over own as n, count(other_value) over own as m,
        coalesce((following_value - avg(following_value) over own) / sqrt(nullif(n * (n - 1), 0)), 0)
        - coalesce((other_value - avg(other_value) over own) / sqrt(nullif(m * (m - 1), 0)), 0) as rest
    from checkpoints
    window own as (partition by ood_dataset, detector, advice)
),

compared as (
    select
        ood_dataset, detector, advice, sum(following)::bigint as following, any_value(n) as following_checkpoints,
        sum(others)::bigint as others, any_value(m) as other_checkpoints, avg(weighed.following_value) as following_value,
        avg(weighed.other_value) as other_value, avg(weighed.following_value) - avg(weighed.other_value) as difference,
        sum(left_out)::bigint as left_out, count(weighed.following_value + weighed.other_value) as shared, sqrt(sum(rest ** 2)) as error
    from weighed
    group by ood_dataset, detector, advice
),

-- Degrees of freedom of such a variance where errors are alike, rounded down to the whole number that is tabled.
told as (
    select
        *, shared * ((1 - 1 / n) * (1 - 1 / m) + (shared - 1) / (n * m)) as overlap,
        floor(round((1 / n + 1 / m) ** 2 / (1 / (n ** 2 * (n - 1)) + 1 / (m ** 2 * (m - 1)) + 2 * overlap / (n * (n - 1) * m * (m - 1))), 6))
        as degrees, case when least(n, m) > 1 and degrees >= 2 and round(error, 12) > 0 then degrees::bigint end as freedom
    from (select *, following_checkpoints as n, other_checkpoints as m from compared)
),

tested as (
    select *, student_p(difference / error, freedom) as p
    from told
),

-- Holm: each p times how many are at least as large, and never below that of a smaller p.
steps as (
    select *, least(1, p * count(p) over (partition by ood_dataset, detector order by p desc nulls last)) as step
    from tested
)

select
    ood_dataset, detector, advice, following, following_checkpoints, others, other_checkpoints, following_value, other_value,
    difference, difference - student_t(freedom) * error as low, difference + student_t(freedom) * error as high, p,
    case when p is not null then max(step) over (partition by ood_dataset, detector order by p nulls last) end as p_holm,
    left_out
from steps
order by ood_dataset, detector, advice
