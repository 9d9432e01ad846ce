-- title: Activations: what each model says of each sample
-- column model: The model's name
-- column dataset: The dataset's name
-- column sample: Position in the dataset
-- column label: Index of the class; null for OOD samples
-- column feature: Penultimate feature, before any normalisation
-- column logits: Output of the head; null where a fit set's are not stored (extract --logits derived)
from stored.activations
