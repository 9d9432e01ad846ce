-- title: What Spearman's rank correlation is by chance: each value that it may have with its probability, exact, without ties
-- argument n: How many pairs, from 2 to 9; null outside

-- Each list has how many of the n! orders have half a sum of squared differences of ranks of 0, 1, 2, …, up to the middle; the
-- other half is its mirror image.
list_transform(
    [
        ([[], [1], [1, 2, 0], [1, 3, 1, 4, 2, 2], [1, 4, 3, 6, 7, 6, 4, 10, 6, 10, 6], [1, 5, 6, 9, 16, 12, 14, 24, 20, 21,
        23, 28, 24, 34, 20, 32, 42, 29], [1, 6, 10, 14, 29, 26, 35, 46, 55, 54, 74, 70, 84, 90, 78, 90, 129, 106, 123, 134,
        147, 98, 168, 130, 175, 144, 168, 144, 184], [1, 7, 15, 22, 47, 54, 70, 94, 129, 124, 178, 183, 237, 238, 276, 264,
        379, 349, 380, 400, 517, 394, 542, 492, 640, 557, 666, 595, 776, 684, 786, 718, 922, 745, 917, 781, 982, 826, 950,
        844, 1066, 845, 936], [1, 8, 21, 34, 72, 102, 130, 190, 260, 284, 398, 454, 555, 616, 756, 744, 1022, 1042, 1159,
        1282, 1555, 1392, 1719, 1758, 2009, 2032, 2282, 2214, 2676, 2590, 2878, 2928, 3397, 3138, 3647, 3568, 3921, 3866,
        4311, 4050, 4852, 4492, 4816, 4784, 5505, 4954, 5638, 5304, 5890, 5486, 6188, 5502, 6436, 5822, 6233, 6024, 6697,
        5720, 6672, 6020, 6688]]::integer[][])[n]
    ],
    lambda half:
        case
            when n between 2 and 9 then
                list_transform(
                    half || list_reverse(half[1:((n ** 3 - n) // 6 + 1 - len(half))::bigint]),
                    lambda orders, place: {
                        'rho': 1 - 12 * (place - 1) / (n ** 3 - n), 'probability': orders / gamma(n + 1)
                    }
                )
        end
)[1]
