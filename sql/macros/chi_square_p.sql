-- title: p of a chi-square statistic: how likely one at least so large would be by chance
-- argument x: The statistic, not below 0
-- argument freedom: Degrees of freedom, a whole number above 0

-- The finite series of Abramowitz & Stegun, 26.4.4 and 26.4.5.
case
    when x <= 0 then 1.0
    when freedom % 2 = 0 then
        list_sum(list_transform(range(0, (freedom // 2)::bigint), lambda j: exp(j * ln(x / 2) - x / 2 - lgamma(j + 1))))
    else
        normal_p(sqrt(x)) + coalesce(
            list_sum(
                list_transform(
                    range(0, ((freedom - 1) // 2)::bigint), lambda j: exp((j + 0.5) * ln(x / 2) - x / 2 - lgamma(j + 1.5))
                )
            ),
            0
        )
end
