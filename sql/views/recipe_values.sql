-- title: Recipe values: each ingredient of each model's recipe by itself, as text and as number; also what stands in the recipe's JSON
-- columns ingredients: model
-- column ingredient: A column of models, or resolution; recipe.NAME for NAME in the recipe's JSON; and, of RandAugment as timm writes
--   it (rand-m9-n2) or none, augmentation.operations (n) and augmentation.magnitude (m, 0 without operations)
-- column value: Its value, as text; null where it is not known or not used
-- column number: The value as a number; null if it is none
-- columns ingredients: recipe_of, checkpoint, feature
with listed as materialized (
    select model, ingredient, parts[1] as value, recipe_of, checkpoint, feature
    from ingredients
    where not for_untrained and ingredient <> 'dropout+stochastic_depth'
),

of_json as (
    select model, unnest(json_keys(value)) as name, value, recipe_of, checkpoint, feature
    from listed
    where ingredient = 'recipe' and value is not null
),

augmented as (
    select
        model, recipe_of, checkpoint, feature,
        case when value = 'none' then 0 else try_cast(regexp_extract(value, '^rand-m([0-9.]+)-n([0-9]+)$', 2) as double) end as operations,
        case when value = 'none' then 0 else try_cast(regexp_extract(value, '^rand-m([0-9.]+)-n([0-9]+)$', 1) as double) end as magnitude
    from listed
    where ingredient = 'augmentation'
),

every as (
    select model, ingredient, value, recipe_of, checkpoint, feature
    from listed
    where ingredient <> 'recipe'
    union all by name
    select
        model, 'recipe.' || name as ingredient,
        json_extract_string(value, '/' || replace(replace(name, '~', '~0'), '/', '~1')) as value, recipe_of, checkpoint, feature
    from of_json
    union all by name
    select model, 'augmentation.operations' as ingredient, operations::varchar as value, recipe_of, checkpoint, feature
    from augmented
    where operations is not null
    union all by name
    select
        model, 'augmentation.magnitude' as ingredient, case when operations = 0 then 0 else magnitude end::varchar as value,
        recipe_of, checkpoint, feature
    from augmented
    where operations is not null
)

select
    model, ingredient, value, case when isfinite(try_cast(value as double)) then try_cast(value as double) end as number,
    recipe_of, checkpoint, feature
from every
