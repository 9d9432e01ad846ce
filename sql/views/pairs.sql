-- title: Pairs: models whose recipes differ in exactly one ingredient
-- column first: The model with the smaller value
-- column second: The model with the larger value
-- column ingredient: What differs: weight_decay, dropout, pretraining, resolution, …; where dropout and stochastic depth
--   were changed together, as AugReg does, dropout+stochastic_depth
-- column first_value: Its value in the first model, as text
-- column second_value: Its value in the second model, as text
select
    a.model as first, b.model as second, a.ingredient,
    array_to_string(a.parts, '+') as first_value, array_to_string(b.parts, '+') as second_value
from ingredients as a
inner join ingredients as b
    on b.ingredient = a.ingredient and b.others is not distinct from a.others and precedes(a.parts, b.parts)
