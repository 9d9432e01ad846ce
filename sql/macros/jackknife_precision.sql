-- title: What the variance by leaving out units in turn is worth, for one coefficient of a regression: a struct of bias and freedom
-- argument sums: X'X, as gram gives it
-- argument whole: Its inverse, by matrix_inverse
-- argument rests: The inverses without each unit's rows
-- argument place: The coefficient's place

-- Where errors are alike and independent, the squares of how far a coefficient moves add up to `bias` times its variance, as a
-- chi-squared of `freedom` degrees would (Satterthwaite's, as Bell & McCaffrey 2002 have it). Null where the coefficient cannot be
-- told without one of the units. What leaving a unit out adds to the inverse is its leverage; nothing where a column is this
-- unit's alone.
list_transform(
    [
        {
            'sums': sums, 'place': place, 'variance': whole[place][place],
            'is_told': len(list_filter(rests, lambda rest: rest[place][place] = 0)) = 0,
            'added': list_transform(
                rests,
                lambda rest: list_transform(rest, lambda row, i: case when row[i] = 0 then 0 else row[place] - whole[i][place] end)
            )
        }
    ],
    lambda one: list_transform(
        [
            {
                'own': list_transform(one.added, lambda row: row[one.place]),
                'each': list_transform(
                    one.added, lambda row: list_dot_product(row, list_transform(one.sums, lambda other: list_dot_product(other, row)))
                ),
                'pairs': list_transform(
                    [gram(list_transform(range(1, len(one.sums) + 1), lambda i: list_transform(one.added, lambda row: row[i])))],
                    lambda products: list_transform(
                        one.sums, lambda row: list_transform(products, lambda other: list_dot_product(row, other))
                    )
                )[1]
            }
        ],
        lambda two: case
            when one.is_told then {
                'bias': list_sum(two.own) / one.variance,
                'freedom': list_sum(two.own) ** 2 / (
                    list_dot_product(two.own, two.own) - list_dot_product(two.each, two.each)
                    + list_sum(list_transform(
                        two.pairs, lambda row, i: list_dot_product(row, list_transform(two.pairs, lambda other: other[i]))
                    ))
                )
            }
        end
    )[1]
)[1]
