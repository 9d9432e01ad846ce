-- title: Spearman's rank correlation of two columns, an aggregate; null where one of them is constant
-- argument x: A number; rows where x or y is null do not count
-- argument y: A number

-- Pearson's correlation of the ranks, ties at their mean. For groups of more than some thousand rows see ranks.
list_correlation(
    ranks(list_transform(list({'x': x, 'y': y}) filter (where x is not null and y is not null), lambda row: row.x)),
    ranks(list_transform(list({'x': x, 'y': y}) filter (where x is not null and y is not null), lambda row: row.y))
)
