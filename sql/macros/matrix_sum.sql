-- title: Sum of matrices of equal size
-- argument matrices: A list of them, each a list of rows
list_reduce(matrices, lambda a, b: list_transform(a, lambda row, i: list_transform(row, lambda v, j: v + b[i][j])))
