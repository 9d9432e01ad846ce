-- title: Samples: the images of the datasets
-- column dataset: The dataset's name
-- column sample: Position in the dataset
-- column path: Path of the image below the dataset's location
-- column bytes: Size of the file
-- column label: Index of the class in the heads; null for OOD samples
-- column class_name: Name of the class, or of the OOD class
from stored.samples
