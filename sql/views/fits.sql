-- title: Fits: the statistics of a fit dataset that detectors learn from, as the rows of named arrays
-- column model: The model's name
-- column dataset: The fit dataset
-- column fit: Name of the statistic, e.g. class-statistics
-- column array: Name of the array
-- column row: Row of the array; 0 for a vector
-- column values: Values of the row
from stored.fits
