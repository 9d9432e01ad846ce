-- title: Ranks of the numbers of a list, from 1, ties at their mean
-- argument numbers: A list of numbers

-- Each number's first place from below and from above tell where its ties begin and end. The cost grows with the square of
-- the length: for more than some thousand numbers, take the window function rank().
list_transform(
    [{'given': numbers, 'up': list_sort(numbers), 'down': list_reverse_sort(numbers)}],
    lambda one: list_transform(
        one.given,
        lambda number: (list_position(one.up, number) + len(one.given) + 1 - list_position(one.down, number)) / 2.0
    )
)[1]
