-- title: Two-sided p of a correlation, by Student's t
-- argument r: The correlation
-- argument n: How many pairs it comes from; below 10 there is no p: they are too few for an approximation

-- Never below that of a permutation test, which of a perfect correlation is 2 / n!.
case
    when n >= 10 and r is not null then
        greatest(
            2 * exp(-lgamma(n + 1)),
            case when abs(r) < 1 then student_p(r * sqrt((n - 2) / (1 - r ** 2)), n - 2) else 0 end
        )
end
