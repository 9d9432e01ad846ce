-- title: Effect of dropout, on matched pairs
-- question: What does dropout do to FPR and AUROC, all else equal, alone or together with stochastic depth?
-- asked because: The AugReg checkpoints come with and without dropout and stochastic depth; what serves accuracy need not serve
--   OOD detection.
-- topic: recipes
-- plot: x=mean_difference y=detector color=to_value
-- param metric text = fpr95 {fpr95, auroc, aupr_in, aupr_out}: The metric that is shown
-- param benchmark text = main: The benchmark
-- param aggregation text = class_mean {class_mean, pooled}: How the OOD classes of a set are put together
-- columns effects_of: ood_dataset, detector
-- column from_value: Value in the first model of each pair; null in a row that only counts models left out; both joined by + where stochastic depth changed, too
-- columns effects_of: to_value, pairs, mean_difference, low, high, improved, worsened, p, mean_auroc_difference, left_out, clusters, p_mean, p_holm
select * exclude (ingredient, benchmark, aggregation, from_mean)
from effects_of($metric, ingredient_ := 'dropout')
where ingredient in ('dropout', 'dropout+stochastic_depth') and benchmark = $benchmark and aggregation = $aggregation
order by ood_dataset, round(mean_difference, 9) nulls last, detector, from_value, to_value
