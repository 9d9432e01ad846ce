-- title: Two-sided p of the sign test: how likely so uneven a split would be if either sign were as likely
-- argument negative: How many differences are below zero
-- argument positive: How many are above zero; those that are zero do not count

-- Twice the smaller tail of the binomial distribution, at most 1; 1 where there is no difference at all.
least(
    1.0::double,
    2 * list_sum(
        list_transform(
            range(0, least(negative, positive)::bigint + 1),
            lambda k:
                exp(
                    lgamma(negative + positive + 1) - lgamma(k + 1) - lgamma(negative + positive - k + 1)
                    - (negative + positive) * ln(2)
                )
        )
    )
)
