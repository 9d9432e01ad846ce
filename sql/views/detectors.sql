-- title: Detectors: what those are that the lake has, or had, scores of, one row per detector or variant
-- column detector: The detector's name; a variant's says which constants differ from the defaults, e.g. knn@k=50
-- column base: The name without constants
-- column title: Name as a paper would print it
-- column formula: The score, in plain text; higher is more in-distribution
-- column source: Where it was proposed
-- column hyperparameters: The constants of the formula with their values, as a JSON object; a value that follows from the model
--   by a rule is the rule, as text
-- column convention: Whose fit data and constants these are: ninco or openood
select detector, split_part(detector, '@', 1) as base, title, formula, source, hyperparameters, convention
from stored.detectors
