-- title: Accuracy of the models on labelled datasets
-- column model: The model's name
-- column dataset: The dataset's name
-- column n: Samples
-- column top1: Share of samples whose label has the largest logit
-- column top5: Share of samples whose label is among the five largest logits
from stored.accuracy
