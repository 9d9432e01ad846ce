-- title: Feature-based against logit-based detectors, by pretraining
-- question: For which pretraining does a detector that looks at features beat one that looks at logits?
-- finding: The exact type of pretraining has a strong impact on which method works well (arXiv 2405.17447, abstract).
-- topic: detectors
-- plot: x=gap y=pretraining color=ood_dataset
-- param feature_based text = mahalanobis: The detector that looks at features
-- param logit_based text = max-logit: The detector that looks at logits
-- param metric text = fpr95 {fpr95, auroc, aupr_in, aupr_out}: The metric that is shown
-- param benchmark text = main: The benchmark
-- param aggregation text = class_mean {class_mean, pooled}: How the OOD classes of a set are put together
-- column ood_dataset: The OOD set
-- column pretraining: Pretraining data of the models; null where it is unknown
-- column models: Models with both detectors
-- column checkpoints: The pretrained checkpoints that these come from, as in the view ingredients: finetunes of one count once, by
--   their mean
-- column feature_value: Mean over checkpoints of the metric of the feature-based detector
-- column logit_value: Mean over checkpoints of that of the logit-based detector
-- column gap: The first minus the second; features are better below zero of fpr95, above it of others
-- column low: Lower end of the 95 % interval of the gap (Student's t, over checkpoints); null for a single checkpoint
-- column high: Its upper end
-- column feature_wins: Models for which the feature-based detector is better
-- column logit_wins: Models for which the logit-based one is
-- column p: Two-sided p of the sign test on the checkpoints' gaps; those that are zero do not count
-- column p_mean: Two-sided p of the gap (Student's t, over checkpoints); null for a single checkpoint, and where all are equal
-- column p_holm: The same corrected by Holm for the family of all pretrainings on one OOD set
-- column left_out: Models with only one of the two detectors
with by_model as (
    select
        results.ood_dataset, results.pretraining, results.model,
        any_value(metric_of($metric, fpr95, auroc, aupr_in, aupr_out)) filter (where detector = $feature_based) as feature,
        any_value(metric_of($metric, fpr95, auroc, aupr_in, aupr_out)) filter (where detector = $logit_based) as logit
    from results
    where benchmark = $benchmark and aggregation = $aggregation and detector in ($feature_based, $logit_based)
    group by results.ood_dataset, results.pretraining, results.model
),

by_checkpoint as (
    select
        by_model.ood_dataset, by_model.pretraining, coalesce(of_checkpoints.checkpoint, by_model.model) as checkpoint,
        count(feature - logit) as models, count(*) as asked,
        avg(feature) filter (where logit is not null) as feature, avg(logit) filter (where feature is not null) as logit,
        round(avg(feature - logit), 12) as gap,
        count(*) filter (where metric_sign($metric) * (feature - logit) < 0) as feature_wins,
        count(*) filter (where metric_sign($metric) * (feature - logit) > 0) as logit_wins
    from by_model
    left join (select distinct model, checkpoint from ingredients) as of_checkpoints on of_checkpoints.model = by_model.model
    group by all
),

gaps as (
    select
        ood_dataset, pretraining, sum(models)::bigint as models, count(gap) as checkpoints,
        avg(feature) as feature_value, avg(logit) as logit_value, avg(gap) as gap,
        stddev_samp(by_checkpoint.gap) / sqrt(checkpoints) as error, sum(feature_wins)::bigint as feature_wins, sum(logit_wins)::bigint as logit_wins,
        sign_test(count(*) filter (where by_checkpoint.gap < 0), count(*) filter (where by_checkpoint.gap > 0)) as p,
        case when round(error, 12) > 0 then student_p(avg(by_checkpoint.gap) / error, checkpoints - 1) end as p_mean,
        (sum(asked) - sum(models))::bigint as left_out
    from by_checkpoint
    group by ood_dataset, pretraining
),

-- Holm: each p times how many are at least as large, and never below that of a smaller p.
steps as (
    select *, least(1, p_mean * count(p_mean) over (partition by ood_dataset order by p_mean desc nulls last)) as step
    from gaps
)

select
    ood_dataset, pretraining, models, checkpoints, feature_value, logit_value, gap,
    gap - student_t(checkpoints - 1) * error as low, gap + student_t(checkpoints - 1) * error as high,
    feature_wins, logit_wins, p, p_mean,
    case when p_mean is not null then max(step) over (partition by ood_dataset order by p_mean nulls last) end as p_holm,
    left_out
from steps
order by ood_dataset, pretraining nulls last
