-- title: Failures: samples that could not be read, and have no activation
-- column model: The model's name
-- column dataset: The dataset's name
-- column sample: Position in the dataset
-- column path: Path of the image below the dataset's location
-- column error: What went wrong
from stored.failures
