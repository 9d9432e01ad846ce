-- title: Ingredients: what each model's recipe is made of, one row per model and ingredient
-- column model: The model's name
-- column ingredient: weight_decay, dropout, pretraining, resolution, …; dropout+stochastic_depth for the two together, which
--   AugReg changes together
-- column parts: Its value, as text; a list, since dropout+stochastic_depth has two
-- column others: The values of all other ingredients; models with equal ones are alike but for this ingredient
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
            -- What was inferred of a file is no ingredient.
            nullif(json_merge_patch(coalesce(recipe, '{}'), '{"inferred": null}')::varchar, '{}'),
            -- Layers are compared with the same layer of other models.
            feature
        ] as known
    from models
    -- An ensemble has members, and no recipe.
    where source is distinct from 'ensemble'
),

names as (
    from (
        values
        ('architecture', [1]), ('resolution', [2]), ('pretraining', [3]), ('weight_decay', [4]), ('dropout', [5]),
        ('stochastic_depth', [6]), ('dropout+stochastic_depth', [5, 6]), ('augmentation', [7]), ('finetune_dataset', [8]),
        ('finetune_lr', [9]), ('finetune_steps', [10]), ('finetune_epochs', [11]), ('soup_of', [12]), ('recipe', [13])
    ) as t (ingredient, places)
)

select
    recipes.model,
    names.ingredient,
    list_transform(names.places, lambda place: recipes.known[place]) as parts,
    list_transform(
        range(1, 15), lambda place: case when not list_contains(names.places, place) then recipes.known[place] end
    ) as others
from recipes cross join names
