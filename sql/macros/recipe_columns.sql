-- title: Recipes as columns of numbers, as a regression takes them, within each pretraining and layer
-- argument within_ = 'pretraining': pretraining, or all for columns over all models, with pretraining as an ingredient
-- columns ingredients: model
-- column pretraining: Pretraining data of the models, null where it is unknown; all for all of them
-- columns ingredients: feature, recipe_of
-- column checkpoint: As in the view ingredients; null of a model that is left out: a soup, or of unknown pretraining, or of an
--   unknown ingredient that counts
-- column name: The ingredient as in the view recipe_values; of a text with the value that it tells of, as in augmentation=light1;
--   null of a model that is left out
-- column scale: number; log10 for learning rates and weight decays, where all are above zero; of a text against the value that has
--   no column: none, else the most frequent. Of an ingredient that is left out, which has no model, why: unknown of more than half
--   of the recipes, constant, or, of a text in the recipe's JSON, too many values for a column each (not five recipes for each)
-- column number: The number; of a text's value 1 or 0
with told as materialized (
    select * replace (coalesce(feature, '') as feature)
    from recipe_values
),

of_models as materialized (
    select
        model, recipe_of, feature, checkpoint, case when within_ = 'all' then 'all' else pretraining end as pretraining,
        -- A soup is of many recipes.
        soup_of is null and (within_ = 'all' or pretraining is not null) as is_one
    from (
        select
            model, recipe_of, feature, checkpoint, any_value(value) filter (where ingredient = 'pretraining') as pretraining,
            any_value(value) filter (where ingredient = 'soup_of') as soup_of
        from told
        group by model, recipe_of, feature, checkpoint
    )
),

pools as (
    select recipe_of, pretraining, feature
    from of_models
    where is_one
    group by recipe_of, pretraining, feature
),

-- RandAugment is told by its two numbers where all is RandAugment or none, else by its name.
parts as materialized (
    select pools.*, told.ingredient, told.value, told.number, count(distinct pools.recipe_of) over own as recipes
    from pools
    inner join told on told.model = pools.recipe_of
    where told.ingredient <> 'soup_of' and (within_ = 'all' or told.ingredient <> 'pretraining')
    window own as (partition by pools.pretraining, pools.feature)
    qualify
        split_part(told.ingredient, '.', 1) <> 'augmentation'
        or starts_with(told.ingredient, 'augmentation.') = (
            coalesce(bool_or(told.value like 'rand-%') over own, false)
            and count(told.value) filter (where told.ingredient = 'augmentation') over own
            = count(told.value) filter (where told.ingredient = 'augmentation.operations') over own
        )
),

kinds as (
    select
        pretraining, feature, ingredient, any_value(recipes) as recipes, count(value) as known,
        count(number) = count(value) as is_number, case when is_number then count(distinct number) else count(distinct value) end as values,
        coalesce(min(number) > 0, false) and regexp_matches(ingredient, '(^|[_.])(lr|learning_rate|wd|weight_decay)$') as is_log
    from parts
    group by pretraining, feature, ingredient
),

considered as materialized (
    select
        *,
        case
            when 2 * known < recipes then 'unknown'
            when values < 2 then 'constant'
            when starts_with(ingredient, 'recipe.') and not is_number and 5 * values > recipes then 'too many values'
        end as why_not,
        count(*) filter (where why_not is null) over (partition by pretraining, feature) as counting
    from kinds
),

complete as materialized (
    select parts.*, considered.is_number, considered.is_log
    from parts
    inner join considered
        on considered.pretraining = parts.pretraining and considered.feature = parts.feature
        and considered.ingredient = parts.ingredient and considered.why_not is null
    qualify count(parts.value) over (partition by parts.recipe_of) = considered.counting
),

levels as (
    select
        pretraining, feature, ingredient, value,
        first_value(value) over (
            partition by pretraining, feature, ingredient order by value = 'none' desc, count(*) desc, value
        ) as reference
    from complete
    where not is_number
    group by pretraining, feature, ingredient, value
),

columns_of as (
    select
        recipe_of, ingredient as name, case when is_log then 'log10' else 'number' end as scale,
        case when is_log then log10(number) else number end as number
    from complete
    where is_number
    union all by name
    select
        complete.recipe_of, levels.ingredient || '=' || levels.value as name, 'against ' || levels.reference as scale,
        case when complete.value = levels.value then 1.0::double else 0 end as number
    from complete
    inner join levels
        on levels.pretraining = complete.pretraining and levels.feature = complete.feature
        and levels.ingredient = complete.ingredient and levels.value <> levels.reference
),

found as (
    select
        of_models.model, of_models.pretraining, of_models.feature, of_models.recipe_of,
        case when columns_of.name is not null then of_models.checkpoint end as checkpoint,
        columns_of.name, columns_of.scale, columns_of.number
    from of_models
    left join columns_of on columns_of.recipe_of = of_models.recipe_of and of_models.is_one
    union all by name
    select pretraining, feature, ingredient as name, why_not as scale
    from considered
    where why_not is not null
)

select model, pretraining, nullif(feature, '') as feature, recipe_of, checkpoint, name, scale, number
from found
