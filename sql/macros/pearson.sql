-- title: Pearson's correlation of two columns, an aggregate; null where one of them is constant
-- argument x: A number; rows where x or y is null do not count
-- argument y: A number
case
    when
        min(x) filter (where y is not null) < max(x) filter (where y is not null)
        and min(y) filter (where x is not null) < max(y) filter (where x is not null)
        then greatest(-1.0, least(1.0, corr(x, y)))
end
