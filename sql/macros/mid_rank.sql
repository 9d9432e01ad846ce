-- title: Rank of a row's number among those of its family, from 1, ties at their mean: a window function
-- argument number: The row's number, not null
-- argument family: What the rows of a family share, e.g. (ood_dataset, detector)
rank() over (partition by family order by number) + (count(*) over (partition by family, number) - 1) / 2
