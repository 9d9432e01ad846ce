-- title: Heads: the final linear layers, one row per class
-- column model: The model's name
-- column class: Index of the class
-- column weight: Weights of the class
-- column bias: Bias of the class
from stored.heads
