-- title: Spearman's rank correlation within groups, pooled: a struct of n, rho and p
-- argument strata: A list of what each group tells (rank_stratum); of one group alone, rho is its own

-- rho is the mean of those of the groups, each with the weight n (n - 1) / (n + 1), as van Elteren weighs rank tests; groups
-- where x or y is constant tell nothing. n is their pairs, less one for each group but the first.
-- p is two-sided, of all orders within each group: below ten exact, and from there on by the symmetric beta distribution of the
-- same variance and kurtosis (those of Spearman's rho are known; Student's t has lighter tails). Below ten, of the ways to break
-- ties the one with the largest p counts, so that p is never too small.
list_transform(
    [
        list_transform(
            list_filter(strata, lambda stratum: stratum.rho is not null),
            lambda stratum: {
                'stratum': stratum, 'weight': stratum.n * (stratum.n - 1) / (stratum.n + 1)
            }
        )
    ],
    lambda known: list_transform(
        [
            {
                'known': known,
                'n': (list_sum(list_transform(known, lambda of: of.stratum.n - 1)) + 1)::bigint,
                'whole': list_sum(list_transform(known, lambda of: of.weight)),
                'sum': list_sum(list_transform(known, lambda of: of.weight * of.stratum.rho)),
                'least': list_sum(list_transform(known, lambda of: of.weight * of.stratum.least)),
                'most': list_sum(list_transform(known, lambda of: of.weight * of.stratum.most)),
                'variance': list_sum(list_transform(known, lambda of: of.weight ** 2 / (of.stratum.n - 1))),
                'cumulant': list_sum(
                    list_transform(
                        known,
                        lambda of: of.weight ** 4 * 3 * (
                            (25 * of.stratum.n ** 3 - 38 * of.stratum.n ** 2 - 35 * of.stratum.n + 72)
                            / (25 * of.stratum.n * (of.stratum.n + 1) * (of.stratum.n - 1) ** 3)
                            - 1 / (of.stratum.n - 1) ** 2
                        )
                    )
                ),
                'orders': list_sum(list_transform(known, lambda of: lgamma(of.stratum.n + 1)))
            }
        ],
        lambda one: {
            'n': one.n,
            'rho': one.sum / one.whole,
            'p': case
                when one.n >= 10 then beta_p(one.sum, one.variance, one.cumulant, 2 * exp(-one.orders))
                when one.n >= 2 then
                    least(
                        1.0,
                        list_sum(
                            list_transform(
                                list_reduce(
                                    list_transform(
                                        one.known,
                                        lambda of: list_transform(
                                            rank_null(of.stratum.n),
                                            lambda chance: {'sum': of.weight * chance.rho, 'probability': chance.probability}
                                        )
                                    ),
                                    lambda before, more: flatten(
                                        list_transform(
                                            before,
                                            lambda first: list_transform(
                                                more,
                                                lambda second: {
                                                    'sum': first.sum + second.sum,
                                                    'probability': first.probability * second.probability
                                                }
                                            )
                                        )
                                    )
                                ),
                                lambda chance:
                                    case
                                        when abs(chance.sum) > greatest(one.least, -one.most) - 1e-9 then chance.probability
                                        else 0
                                    end
                            )
                        )
                    )
            end
        }
    )[1]
)[1]
