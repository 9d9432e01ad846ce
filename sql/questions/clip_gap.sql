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
-- column feature_value: Mean metric of the feature-based detector
-- column logit_value: Mean metric of the logit-based detector
-- column gap: Mean of the feature-based metric minus the logit-based; features are better below zero of fpr95, above it of others
-- column low: Lower end of the 95 % interval of the gap (Student's t); null for a single model
-- column high: Its upper end
-- column feature_wins: Models for which the feature-based detector is better
-- column logit_wins: Models for which the logit-based one is
-- column p: Two-sided p of the sign test on these
-- column left_out: Models with only one of the two detectors
with by_model as (
    select
        ood_dataset, pretraining, model,
        any_value(metric_of($metric, fpr95, auroc, aupr_in, aupr_out)) filter (where detector = $feature_based) as feature,
        any_value(metric_of($metric, fpr95, auroc, aupr_in, aupr_out)) filter (where detector = $logit_based) as logit
    from results
    where benchmark = $benchmark and aggregation = $aggregation and detector in ($feature_based, $logit_based)
    group by ood_dataset, pretraining, model
)

select
    ood_dataset, pretraining, count(feature - logit) as models,
    avg(feature) filter (where logit is not null) as feature_value,
    avg(logit) filter (where feature is not null) as logit_value,
    avg(feature - logit) as gap,
    avg(feature - logit) - student_t(models - 1) * stddev_samp(feature - logit) / sqrt(models) as low,
    avg(feature - logit) + student_t(models - 1) * stddev_samp(feature - logit) / sqrt(models) as high,
    count(*) filter (where metric_sign($metric) * (feature - logit) < 0) as feature_wins,
    count(*) filter (where metric_sign($metric) * (feature - logit) > 0) as logit_wins,
    sign_test(feature_wins, logit_wins) as p,
    count(*) - models as left_out
from by_model
group by ood_dataset, pretraining
order by ood_dataset, pretraining nulls last
