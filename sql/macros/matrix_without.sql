-- title: A matrix of sums of products without those of some rows, where it had an inverse: columns that were empty there stay so
-- argument whole: The matrix of all, a list of rows
-- argument part: That of the rows which are left out, as large
-- argument inverse: The inverse of the whole, by matrix_inverse
list_transform(
    whole,
    lambda row, i: list_transform(row, lambda v, j: case when inverse[i][i] > 0 and inverse[j][j] > 0 then v - part[i][j] else 0 end)
)
