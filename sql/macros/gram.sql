-- title: Dot products of each vector with each: a list of rows, such as X'X of the columns of X
-- argument vectors: A list of lists of numbers of equal length, without nulls
list_transform(vectors, lambda a: list_transform(vectors, lambda b: list_dot_product(a, b)))
