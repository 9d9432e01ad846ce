-- title: What one group of pairs tells of a rank correlation: a struct of n, rho, least and most
-- argument points: A list of structs of x and y, numbers that are not null

-- rho is Spearman's, ties at their mean, null where x or y is constant. A tie is an order that was not seen: least and most are
-- the smallest and the largest rho of all ways to break the ties, null for more than nine pairs.
list_transform(
    [{'points': list_transform(points, lambda point, place: {'x': point.x, 'y': point.y, 'place': place})}],
    lambda one: {
        'n': len(one.points),
        'rho': list_correlation(
            ranks(list_transform(one.points, lambda point: point.x)), ranks(list_transform(one.points, lambda point: point.y))
        ),
        'least': case when len(one.points) between 2 and 9 then 1 - 6 * rank_distance(
            list_transform(one.points, lambda point: {'a': point.x, 'b': -point.y, 'c': point.place}),
            list_transform(one.points, lambda point: {'a': point.y, 'b': -point.x, 'c': -point.place})
        ) / (len(one.points) ** 3 - len(one.points)) end,
        'most': case when len(one.points) between 2 and 9 then 1 - 6 * rank_distance(
            list_transform(one.points, lambda point: {'a': point.x, 'b': point.y, 'c': point.place}),
            list_transform(one.points, lambda point: {'a': point.y, 'b': point.x, 'c': point.place})
        ) / (len(one.points) ** 3 - len(one.points)) end
    }
)[1]
