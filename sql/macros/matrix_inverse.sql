-- title: Inverse of a matrix of sums of products, such as X'X; rows and columns that follow from those before them are zero in it
-- argument matrix: A list of rows, symmetric and not negative definite, without nulls; scale its columns alike first

-- Gauss and Jordan, in place, one diagonal element after the other: what is left of it is the part that those before do not
-- explain. The list has the matrix, then [[1]], [[2]], … for its diagonal.
list_transform(
    [matrix::double[][]],
    lambda given: list_reduce(
        [given] || list_transform(range(1, len(given) + 1), lambda k: [[k::double]]),
        lambda m, step: list_transform(
            [{'k': step[1][1]::bigint, 'row': m[step[1][1]::bigint], 'pivot': m[step[1][1]::bigint][step[1][1]::bigint]}],
            lambda now: list_transform(
                m,
                lambda old, i: list_transform(
                    old,
                    lambda number, j: case
                        when now.pivot <= 1e-9 * given[now.k][now.k] then case when i = now.k or j = now.k then 0 else number end
                        when i = now.k and j = now.k then 1 / now.pivot
                        when i = now.k then number / now.pivot
                        when j = now.k then -number / now.pivot
                        else number - old[now.k] * now.row[j] / now.pivot
                    end
                )
            )
        )[1]
    )
)[1]
