-- title: Heads: the final linear layers, one row per class
-- column model: The model's name
-- column class: Index of the class
-- column weight: Weights of the class
-- column bias: Bias of the class
-- column negatives: Embeddings of negative labels, dealt out to the classes in order, one after the other; null without any
from stored.heads
