-- title: Sum of the squared differences of the places of two lists of equal length, each without ties
-- argument firsts: A list of values that can be ordered, all different
-- argument seconds: Another
list_transform(
    [{'firsts': firsts, 'seconds': seconds, 'up': list_sort(firsts), 'across': list_sort(seconds)}],
    lambda one: list_sum(
        list_transform(
            range(1, len(one.firsts) + 1),
            lambda i: (list_position(one.up, one.firsts[i]) - list_position(one.across, one.seconds[i])) ** 2
        )
    )
)[1]
