-- title: Seen classes: which classes of OOD datasets the data of a pretraining are said to hold, by NINCO's authors or a user
-- columns datasets: dataset
-- column pretraining: The pretraining data, by the name that models have
-- column ood_class: A class that they hold; null where they are said to hold none
with said as (
    select dataset, seen_classes, unnest(json_keys(seen_classes)) as pretraining
    from datasets
    where seen_classes is not null
),

listed as (
    select dataset, pretraining, json_extract(seen_classes, concat('$."', pretraining, '"'))::varchar[] as classes from said
)

select dataset, pretraining, unnest(case when len(classes) = 0 then [null::varchar] else classes end) as ood_class
from listed
