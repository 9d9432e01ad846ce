-- title: Two-sided p of a normal deviate: how likely one at least so far from zero would be by chance
-- argument z: The deviate

-- Abramowitz & Stegun, 7.1.6, in t = |z| / sqrt(2), whose terms are all positive; beyond t = 4 the asymptotic 7.1.23, which is right
-- to one in a thousand there and better further on.
list_transform(
    [abs(z) / sqrt(2)],
    lambda t:
        case
            when t = 0 then 1.0
            when t <= 4
                then greatest(
                    0.0,
                    1 - list_sum(list_transform(range(0, 90), lambda n: exp((2 * n + 1) * ln(t) - t ** 2 - lgamma(n + 1.5))))
                )
            else exp(-(t ** 2)) / (t * sqrt(pi())) * (1 - 1 / (2 * t ** 2) + 3 / (4 * t ** 4) - 15 / (8 * t ** 6))
        end
)[1]
