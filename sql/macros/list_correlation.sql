-- title: Pearson's correlation of two lists of equal length; null where one of them is constant
-- argument xs: A list of numbers
-- argument ys: A list of numbers
list_transform(
    [{'xs': xs, 'ys': ys, 'x': list_avg(xs), 'y': list_avg(ys)}],
    lambda one:
        case
            when list_min(one.xs) < list_max(one.xs) and list_min(one.ys) < list_max(one.ys) then
                greatest(
                    -1.0,
                    least(
                        1.0,
                        list_sum(list_transform(range(1, len(one.xs) + 1), lambda i: (one.xs[i] - one.x) * (one.ys[i] - one.y)))
                        / sqrt(
                            list_sum(list_transform(one.xs, lambda v: (v - one.x) ** 2))
                            * list_sum(list_transform(one.ys, lambda v: (v - one.y) ** 2))
                        )
                    )
                )
        end
)[1]
