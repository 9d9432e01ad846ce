-- title: Ingredients: what each model's recipe is made of, one row per model and ingredient (two of pretraining where there was one)
-- column model: The model's name
-- column ingredient: weight_decay, dropout, pretraining, resolution, …; dropout+stochastic_depth for the two together, which
--   AugReg changes together
-- column parts: Its value, as text, of an architecture the short one; a list, since dropout+stochastic_depth has two; null where it is not known or not used
-- column others: The values of all other ingredients; models with equal ones are alike but for this ingredient. Empty texts are
--   what was not used
-- column complete: Whether all that a recipe has to tell is known; if not, the model is in no pair: unknown is not equal
-- column recipe_of: The first by name of the models of the same recipe: they are repeats, which differ in run or seed alone
-- column checkpoint: What it was finetuned from: checkpoint_id, else the recipe without its finetuning; models that share it are
--   not independent
-- column for_untrained: Whether the row is for pairs with a model that was not pretrained, where others has nothing of how
-- columns models: feature
with told as (
    select
        model, checkpoint_id,
        -- These have no pretraining, and no finetuning: how it was done does not apply, and is not unknown.
        pretraining in ('none', 'scratch') as untrained, finetune_dataset = 'none' as untuned,
        -- Repeats are told apart by these alone, and what was inferred of a file is no ingredient.
        json_merge_patch(coalesce(recipe, '{}'), '{"inferred": null, "run": null, "seed": null}')::varchar as recipe,
        -- The size of the images is the resolution's, also where timm writes it into the architecture's name.
        regexp_replace(architecture, '_' || coalesce(input_size, 0) || '(\.|$)', '\1') as architecture,
        * exclude (model, checkpoint_id, recipe, architecture)
    from models
    -- An ensemble has members, and no recipe.
    where source is distinct from 'ensemble'
),

-- Null is unknown, and '' is not used.
listed as (
    select
        model, checkpoint_id, untrained, feature, short_architecture(architecture, model_kwargs) as short_architecture,
        [
            architecture || json_merge_patch(coalesce(model_kwargs, '{}'), '{"img_size": null}')::varchar,
            input_size::varchar,
            pretraining,
            weight_decay::varchar,
            dropout::varchar,
            stochastic_depth::varchar,
            augmentation,
            finetune_dataset,
            case when untuned then '' else finetune_lr::varchar end,
            -- One of the two lengths is enough.
            case when untuned then '' when finetune_epochs is not null then coalesce(finetune_steps::varchar, '') else finetune_steps::varchar end,
            case when untuned then '' when finetune_steps is not null then coalesce(finetune_epochs::varchar, '') else finetune_epochs::varchar end,
            coalesce(soup_of::varchar, ''),
            recipe,
            case when untrained then '' else pretrain_epochs::varchar end,
            case when untrained then '' else pretrain_lr::varchar end,
            case when untrained then '' else coalesce(pretrain_weight_decay::varchar, '') end,
            -- Layers are compared with the same layer of other models.
            coalesce(feature, '')
        ] as known
    from told
),

recipes as (
    select
        *, len(list_filter(known, lambda value: value is null)) = 0 as complete,
        min(model) over (partition by known) as recipe_of,
        coalesce(
            checkpoint_id,
            array_to_string(
                list_transform(
                    -- Where the weight decay of pretraining is told apart, the other is that of the finetuning.
                    [short_architecture, known[3], coalesce(nullif(known[16], ''), known[4])] || known[5:7] || known[14:15],
                    lambda value: coalesce(value, '?')
                ),
                '/'
            )
        ) as checkpoint
    from listed
),

names as (
    from (
        values
        ('architecture', [1], false), ('resolution', [2], false), ('pretraining', [3], false), ('pretraining', [3], true),
        ('weight_decay', [4], false), ('dropout', [5], false), ('stochastic_depth', [6], false),
        ('dropout+stochastic_depth', [5, 6], false), ('augmentation', [7], false), ('finetune_dataset', [8], false),
        ('finetune_lr', [9], false), ('finetune_steps', [10], false), ('finetune_epochs', [11], false), ('soup_of', [12], false),
        ('recipe', [13], false), ('pretrain_epochs', [14], false), ('pretrain_lr', [15], false),
        ('pretrain_weight_decay', [16], false)
    ) as t (ingredient, places, for_untrained)
)

select
    recipes.model,
    names.ingredient,
    list_transform(
        names.places,
        lambda place: case when place = 1 then recipes.short_architecture else nullif(nullif(recipes.known[place], ''), '{}') end
    ) as parts,
    list_transform(
        range(1, 18),
        lambda place: case
            when names.for_untrained and place between 14 and 16 then ''
            when not list_contains(names.places, place) then recipes.known[place]
        end
    ) as others,
    recipes.complete, recipes.recipe_of, recipes.checkpoint, names.for_untrained, recipes.feature
from recipes cross join names
where not (names.for_untrained and coalesce(recipes.untrained, false))
