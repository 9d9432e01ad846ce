-- title: Pairs: recipes that are known to differ in exactly one ingredient
-- column first: The model with the smaller value; of repeats the first by name
-- column second: The model with the larger value; of repeats the first by name
-- column ingredient: What differs: weight_decay, dropout, pretraining, resolution, …; where dropout and stochastic depth
--   were changed together, as AugReg does, dropout+stochastic_depth
-- column first_value: Its value in the first model, as text
-- column second_value: Its value in the second model, as text
-- column cluster: The pretrained checkpoints of the two, as text: pairs that share them are not independent
with recipes as materialized (
    select * exclude (complete) from ingredients where complete and model = recipe_of
)

select
    a.model as first, b.model as second, a.ingredient,
    array_to_string(a.parts, '+') as first_value, array_to_string(b.parts, '+') as second_value,
    concat_ws(' → ', a.checkpoint, b.checkpoint) as cluster
from recipes as a
inner join recipes as b
    on b.ingredient = a.ingredient and b.others = a.others and precedes(a.parts, b.parts)
    and not (a.for_untrained and b.for_untrained)
