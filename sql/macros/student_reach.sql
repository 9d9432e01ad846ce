-- title: How far from zero Student's t has a two-sided p: half the width of an interval of level 1 - p, in standard errors
-- argument p: The p, between 0 and 1; of one of k comparisons that must hold at once 0.05 / k (Bonferroni)
-- argument freedom: Degrees of freedom, a whole number; null below 1

-- Bisection in the angle whose tangent is t over the root of freedom, 50 times.
list_transform(
    [{'p': p, 'freedom': freedom}],
    lambda sought:
        case
            when sought.freedom >= 1 then
                sqrt(sought.freedom) * tan(
                    list_reduce(
                        list_transform(range(0, 51), lambda turn: {'low': 0.0::double, 'high': pi() / 2}),
                        lambda ends, turn:
                            case
                                when
                                    student_p(sqrt(sought.freedom) * tan((ends.low + ends.high) / 2), sought.freedom) > sought.p
                                    then {'low': (ends.low + ends.high) / 2, 'high': ends.high}
                                else {'low': ends.low, 'high': (ends.low + ends.high) / 2}
                            end
                    ).low
                )
        end
)[1]
