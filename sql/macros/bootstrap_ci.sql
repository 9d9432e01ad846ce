-- title: Bootstrap interval of the mean of a list of numbers, by percentiles: a struct of low and high
-- argument numbers: A list of numbers, e.g. list(fpr95 order by model); null and empty lists give null
-- argument resamples = 1000: How often to draw as many numbers as there are, with replacement
-- argument level = 0.95: Which share of the means lies in the interval
-- argument seed = 0: Another seed draws other numbers; the same seed, numbers and order always give the same interval

-- Number k of draw r is the element at 1 + md5(seed/r/k), its second half with the lowest byte first, modulo the length.
list_transform(
    [
        list_transform(
            range(0, resamples),
            lambda r: list_avg(
                list_transform(
                    range(0, len(numbers)),
                    lambda k: (numbers::double[])[1 + (md5_number_lower(concat_ws('/', seed, r, k)) % len(numbers))::bigint]
                )
            )
        )
    ],
    lambda means:
        case
            when len(numbers) > 0 then {
                'low': list_aggregate(means, 'quantile_cont', (1 - level) / 2),
                'high': list_aggregate(means, 'quantile_cont', (1 + level) / 2)
            }
        end
)[1]
