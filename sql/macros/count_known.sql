-- title: How many rows of a group have a verdict; null where one of them has none, since its metrics are older than intervals
-- argument verdicts: Their verdicts
-- argument which: fails, passes or undecided
case when count(verdicts) = count(*) then count(*) filter (where verdicts = which) end
