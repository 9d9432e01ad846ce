-- title: Selective prediction: how well each detector tells what a model gets right of the ID test set from what it gets wrong
-- column benchmark: The benchmark
-- column model: The model's name
-- column detector: The detector's name
-- column id_dataset: The ID test set
-- column n_id: Its samples that judge and have a label; all numbers are of these
-- column unlabelled: Its samples that judge and have none
-- column accuracy: Share of the samples whose label has the largest logit
-- column aurc: Mean, over k = 1, 2, …, n_id, of the share of wrong ones among the k samples of highest score; the lower, the better
-- column eaurc: What aurc is above the least that the model's accuracy allows
-- column augrc: Area under the share of samples that are accepted and wrong, against the share that is accepted; the lower, the better
-- column misclassification_auroc: Probability that a right sample outscores a wrong one, ties half; null if there are none of either
-- column misclassification_fpr95: Share of wrong ones accepted where 95 % of the right ones are; null likewise
-- column risks: Share of wrong ones among the 1 %, 2 %, …, 100 % of highest score, in whole samples, rounded up
-- column lacking: Why the numbers are null; null where they are not
select * exclude (ood_dataset, n_ood, oscr)
from stored.selective
where ood_dataset is null
