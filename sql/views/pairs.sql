-- title: Pairs: models whose recipes differ in exactly one ingredient
-- column first: The model with the smaller value
-- column second: The model with the larger value
-- column ingredient: What differs: weight_decay, dropout, pretraining, resolution, …; where dropout and stochastic depth
--   were changed together, as AugReg does, dropout+stochastic_depth
-- column first_value: Its value in the first model, as text
-- column second_value: Its value in the second model, as text
with recipes as (
    select
        model,
        [
            -- The size of the images is the resolution's, also where timm writes it into the architecture's name.
            regexp_replace(architecture, '_' || coalesce(input_size, 0) || '(\.|$)', '\1')
            || json_merge_patch(coalesce(model_kwargs, '{}'), '{"img_size": null}')::varchar,
            input_size::varchar,
            -- How long and how fast a model was pretrained goes with what it was pretrained on.
            pretraining,
            weight_decay::varchar,
            dropout::varchar,
            stochastic_depth::varchar,
            augmentation,
            finetune_dataset,
            finetune_lr::varchar,
            finetune_steps::varchar,
            finetune_epochs::varchar,
            soup_of::varchar,
            recipe
        ] as known
    from models
),

names as (
    from (
        values
        ('architecture', [1]), ('resolution', [2]), ('pretraining', [3]), ('weight_decay', [4]), ('dropout', [5]),
        ('stochastic_depth', [6]), ('dropout+stochastic_depth', [5, 6]), ('augmentation', [7]), ('finetune_dataset', [8]),
        ('finetune_lr', [9]), ('finetune_steps', [10]), ('finetune_epochs', [11]), ('soup_of', [12]), ('recipe', [13])
    ) as t (ingredient, places)
),

ingredients as (
    select
        recipes.model,
        names.ingredient,
        list_transform(names.places, lambda place: recipes.known[place]) as parts,
        list_transform(
            range(1, 14), lambda place: case when not list_contains(names.places, place) then recipes.known[place] end
        ) as others
    from recipes cross join names
)

select
    a.model as first, b.model as second, a.ingredient,
    array_to_string(a.parts, '+') as first_value, array_to_string(b.parts, '+') as second_value
from ingredients as a
inner join ingredients as b
    on b.ingredient = a.ingredient and b.others is not distinct from a.others
    and b.parts[1] <> a.parts[1] and b.parts[-1] <> a.parts[-1]
where
    -- As numbers where both are unequal numbers, else as text.
    coalesce(
        nullif(try_cast(a.parts[1] as double), try_cast(b.parts[1] as double)) < try_cast(b.parts[1] as double),
        a.parts[1] < b.parts[1]
    )
