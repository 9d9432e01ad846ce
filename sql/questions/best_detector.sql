-- title: Best detector per OOD set
-- question: Which detector has the lowest false positive rate, on average over models, and how often is it the best of its model?
-- finding: The exact type of pretraining has a strong impact on which method works well (arXiv 2405.17447, abstract).
-- topic: detectors
-- plot: heatmap x=detector y=pretraining color=mean_value
-- param metric text = fpr95 {fpr95, auroc, aupr_in, aupr_out}: The metric that is shown
-- param benchmark text = main: The benchmark
-- param aggregation text = class_mean {class_mean, pooled}: How the OOD classes of a set are put together
-- columns results: ood_dataset, pretraining, detector
-- column models: Models scored by the detector
-- column wins: Models for which no detector is better by the metric (ties count for each)
-- column mean_fpr95: Mean over models of the share of OOD accepted when 95 % of ID is accepted
-- column mean_auroc: Mean over models of the area under the ROC curve
-- column mean_value: Mean over models of the metric
-- column checkpoints: The pretrained checkpoints of these models, as in the view ingredients
-- column behind: By how much the metric is worse than the leader's, the detector with the best mean over checkpoints: the mean over
--   checkpoints of the differences within models that have both; null for the leader
-- column behind_low: Lower end of its interval (Student's t, over checkpoints). All intervals of one OOD set hold at once in 95 % of
--   cases, whichever detectors lead: Bonferroni, for the family of all pairs of detectors of each pretraining; null for a single
--   checkpoint, and where all differences are equal
-- column behind_high: Its upper end
-- column verdict: behind where the interval lies above 0; within 5 points where it lies between -0.05 and 0.05; else too few to tell.
--   For the leader: best where all others are behind, leads where not; null where there is no other
with recipes as (
    -- One row for each model but ensembles.
    select model, checkpoint from ingredients where ingredient = 'pretraining' and not for_untrained
),

contest as (
    select
        results.*, coalesce(recipes.checkpoint, results.model) as checkpoint,
        metric_of($metric, fpr95, auroc, aupr_in, aupr_out) as value, metric_sign($metric) * value as loss,
        loss = min(loss) over (partition by ood_dataset, results.model) as won
    from results
    left join recipes on recipes.model = results.model
    where benchmark = $benchmark and aggregation = $aggregation
),

means as (
    select
        ood_dataset, pretraining, detector, count(*) as models, count(*) filter (where won) as wins,
        avg(fpr95) as mean_fpr95, avg(auroc) as mean_auroc, avg(value) as mean_value, avg(loss) as mean_loss,
        count(distinct checkpoint) as checkpoints
    from contest
    group by ood_dataset, pretraining, detector
),

leaders as (
    select ood_dataset, pretraining, detector
    from (
        select ood_dataset, pretraining, detector, checkpoint, avg(loss) as loss
        from contest
        group by ood_dataset, pretraining, detector, checkpoint
    )
    group by ood_dataset, pretraining, detector
    qualify row_number() over (partition by ood_dataset, pretraining order by round(avg(loss), 9) nulls last, detector) = 1
),

of_leaders as (
    select contest.ood_dataset, contest.model, contest.detector, contest.loss
    from contest
    inner join leaders
        on leaders.ood_dataset = contest.ood_dataset and leaders.detector = contest.detector
        and leaders.pretraining is not distinct from contest.pretraining
),

by_checkpoint as (
    select a.ood_dataset, a.pretraining, a.detector, a.checkpoint, round(avg(a.loss - b.loss), 12) as behind
    from contest as a
    inner join of_leaders as b on b.ood_dataset = a.ood_dataset and b.model = a.model and b.detector <> a.detector
    group by all
),

families as (
    select ood_dataset, sum(detectors * (detectors - 1) / 2) as pairs
    from (select ood_dataset, pretraining, count(*) as detectors from means group by ood_dataset, pretraining)
    group by ood_dataset
),

compared as (
    select
        ood_dataset, pretraining, detector, avg(by_checkpoint.behind) as behind,
        nullif(round(stddev_samp(by_checkpoint.behind) / sqrt(count(by_checkpoint.behind)), 12), 0) as error,
        error * student_reach(0.05 / any_value(families.pairs), count(by_checkpoint.behind) - 1) as reach
    from by_checkpoint
    inner join families using (ood_dataset)
    group by ood_dataset, pretraining, detector
),

intervals as (
    select
        means.*, leaders.detector is not null as leads, compared.behind,
        compared.behind - compared.reach as behind_low, compared.behind + compared.reach as behind_high
    from means
    left join leaders
        on leaders.ood_dataset = means.ood_dataset and leaders.detector = means.detector
        and leaders.pretraining is not distinct from means.pretraining
    left join compared
        on compared.ood_dataset = means.ood_dataset and compared.detector = means.detector
        and compared.pretraining is not distinct from means.pretraining
)

select
    ood_dataset, pretraining, detector, models, wins, mean_fpr95, mean_auroc, mean_value, checkpoints,
    behind, behind_low, behind_high,
    case
        when leads and count(*) over own = 1 then null
        when leads and count(*) filter (where behind_low > 0) over own = count(*) over own - 1 then 'best'
        when leads then 'leads'
        when behind_low > 0 then 'behind'
        when behind_low > -0.05 and behind_high < 0.05 then 'within 5 points'
        else 'too few to tell'
    end as verdict
from intervals
window own as (partition by ood_dataset, pretraining)
order by ood_dataset, pretraining nulls last, round(mean_loss, 9), detector
