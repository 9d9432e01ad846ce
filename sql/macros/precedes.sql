-- title: Whether one value of an ingredient differs from another and comes before it: each is a list, as parts in ingredients
-- argument first: A list of texts
-- argument second: Another; where an ingredient has two parts, both must differ

-- As numbers where both are unequal numbers, else as text.
first[1] <> second[1]
and first[-1] <> second[-1]
and coalesce(
    nullif(try_cast(first[1] as double), try_cast(second[1] as double)) < try_cast(second[1] as double),
    first[1] < second[1]
)
