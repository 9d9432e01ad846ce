-- title: Datasets: ordered lists of samples, with a role
-- column dataset: The dataset's name
-- column role: fit (fits detectors), id (in-distribution test), ood, or val (in-distribution, tunes)
-- column benchmarks: Benchmarks that it takes part in
-- column samples: Number of samples
-- column classes: Number of class names
-- column digest: sha256 of the ordered paths, sizes and labels
-- column format: How the images lie on disk
-- column location: Where they lay when the dataset was added
from stored.datasets
