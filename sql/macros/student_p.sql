-- title: Two-sided p of Student's t: how likely a value at least so far from zero would be by chance
-- argument t: The value
-- argument freedom: Degrees of freedom, a whole number; null below 1

-- The finite series of Abramowitz & Stegun, 26.7.3 and 26.7.4, in the angle whose tangent is t over the root of freedom.
case
    when freedom >= 1 then
        greatest(
            0.0,
            1 - case
                when freedom % 2 = 0 then
                    abs(t) / sqrt(freedom + t ** 2) * list_sum(
                        list_transform(
                            range(0, (freedom // 2)::bigint),
                            lambda k: exp(lgamma(k + 0.5) - lgamma(0.5) - lgamma(k + 1) + k * ln(freedom / (freedom + t ** 2)))
                        )
                    )
                else
                    2 / pi() * (
                        atan(abs(t) / sqrt(freedom))
                        + abs(t) * sqrt(freedom) / (freedom + t ** 2) * coalesce(
                            list_sum(
                                list_transform(
                                    range(0, ((freedom - 1) // 2)::bigint),
                                    lambda k: exp(
                                        lgamma(1.5) + lgamma(k + 1) - lgamma(k + 1.5) + k * ln(freedom / (freedom + t ** 2))
                                    )
                                )
                            ),
                            0
                        )
                    )
            end
        )
end
