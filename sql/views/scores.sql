-- title: Scores: higher means more in-distribution
-- column benchmark: The benchmark
-- column model: The model's name
-- column dataset: The dataset's name
-- column detector: The detector's name
-- column sample: Position in the dataset
-- column score: The detector's score
-- column id_rank: Share of the benchmark's ID test scores below this one, ties half; AUROC is 1 - avg(id_rank) over OOD
from stored.scores
