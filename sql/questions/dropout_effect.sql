-- title: Effect of dropout, on matched pairs
-- question: What does dropout do to FPR and AUROC, all else equal, alone or together with stochastic depth?
-- asked because: The AugReg checkpoints come with and without dropout and stochastic depth, chosen for accuracy; what they do to
--   OOD detection is another matter.
-- topic: recipes
-- plot: x=mean_difference y=detector color=to_value
-- param benchmark text = main: The benchmark
-- param aggregation text = class_mean {class_mean, pooled}: How the OOD classes of a set are put together
-- columns effects: ood_dataset, detector
-- column from_value: Value in the first model of each pair; null in a row that only counts models left out; both joined by + where stochastic depth changed, too
-- columns effects: to_value, pairs, mean_difference, low, high, improved, worsened, p, mean_auroc_difference, left_out, clusters, p_mean, p_holm
select * exclude (ingredient, benchmark, aggregation, from_fpr95)
from effects
where ingredient in ('dropout', 'dropout+stochastic_depth') and benchmark = $benchmark and aggregation = $aggregation
order by ood_dataset, round(mean_difference, 9) nulls last, detector, from_value, to_value
