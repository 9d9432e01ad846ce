-- title: Pairs: models whose recipes differ in exactly one ingredient
-- column first: The model with the smaller value
-- column second: The model with the larger value
-- column ingredient: What differs: weight_decay, dropout, pretraining, …
-- column first_value: Its value in the first model, as text
-- column second_value: Its value in the second model, as text
with ingredients as (
    select
        model,
        unnest(
            [
                {
                    'ingredient': 'architecture',
                    'value': architecture || json_merge_patch(coalesce(model_kwargs, '{}'), '{"img_size": null}')::varchar
                },
                {'ingredient': 'resolution', 'value': input_size::varchar},
                -- How long and how fast a model was pretrained goes with what it was pretrained on.
                {'ingredient': 'pretraining', 'value': pretraining},
                {'ingredient': 'weight_decay', 'value': weight_decay::varchar},
                {'ingredient': 'dropout', 'value': dropout::varchar},
                {'ingredient': 'stochastic_depth', 'value': stochastic_depth::varchar},
                {'ingredient': 'augmentation', 'value': augmentation},
                {'ingredient': 'finetune_dataset', 'value': finetune_dataset},
                {'ingredient': 'finetune_lr', 'value': finetune_lr::varchar},
                {'ingredient': 'finetune_steps', 'value': finetune_steps::varchar},
                {'ingredient': 'finetune_epochs', 'value': finetune_epochs::varchar},
                {'ingredient': 'soup_of', 'value': soup_of::varchar},
                {'ingredient': 'recipe', 'value': recipe}
            ],
            recursive := true
        )
    from models
),

differing as (
    select
        a.model as first, b.model as second, a.ingredient, a.value as first_value, b.value as second_value,
        count(*) over (partition by a.model, b.model) as differences
    from ingredients as a
    inner join ingredients as b
        on b.ingredient = a.ingredient and b.model <> a.model and b.value is distinct from a.value
)

select first, second, ingredient, first_value, second_value
from differing
where
    differences = 1
    -- As numbers where both are unequal numbers, else as text.
    and coalesce(
        nullif(try_cast(first_value as double), try_cast(second_value as double)) < try_cast(second_value as double),
        first_value < second_value
    )
