-- title: Whether an FPR is above a limit, as far as so many images tell: fails, passes or undecided
-- argument low: Lower end of its interval
-- argument high: Upper end
-- argument above: The limit

-- fails: the whole interval is above; passes: none of it; undecided: the limit is inside. Null where the interval is not known.
case when low > above then 'fails' when high <= above then 'passes' when low <= above and high > above then 'undecided' end
