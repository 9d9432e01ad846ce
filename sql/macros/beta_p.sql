-- title: Two-sided p by the symmetric beta distribution about zero of a variance and a fourth cumulant
-- argument number: The value
-- argument variance: The variance by chance
-- argument cumulant: The fourth cumulant: the kurtosis less 3, times the squared variance; below zero
-- argument smallest: The smallest p that there can be

-- Its root of the share of the squared range is Student's t, whose degrees of freedom follow from the kurtosis, rounded up.
list_transform(
    [
        {
            'freedom': ceil(-6 * variance ** 2 / cumulant - 3)::bigint,
            'share': number ** 2 / (variance * (ceil(-6 * variance ** 2 / cumulant - 3) + 1)),
            'smallest': smallest
        }
    ],
    lambda beta: greatest(
        beta.smallest,
        case
            when beta.share < 1 then student_p(sqrt(beta.freedom * beta.share / (1 - beta.share)), beta.freedom)
            else 0
        end
    )
)[1]
