-- title: What each ingredient does where recipes differ in many at once: linear regression
-- question: How does the metric change with each ingredient of the recipe, the others held equal, among models that make no matched
--   pairs?
-- asked because: The 72 CLIP finetunes of Mueller & Hein 2024 come from a random search: no two of them differ in one ingredient
--   alone, so the questions on matched pairs have no answer for them.
-- topic: recipes
-- plot: x=standardised y=ingredient color=ood_dataset shape=pretraining
-- param ood text = all: One OOD set, or all
-- param detector text = mahalanobis: One detector, or all
-- param within text = pretraining {pretraining, all}: One regression within each pretraining, or one over all models, with
--   pretraining as an ingredient
-- param least integer = 5 [1, ]: With fewer recipes than this for each coefficient, intercepts included, there are too few to tell
-- param metric text = fpr95 {fpr95, auroc, aupr_in, aupr_out}: The metric that is shown
-- param benchmark text = main: The benchmark
-- param aggregation text = class_mean {class_mean, pooled}: How the OOD classes of a set are put together
-- columns results: ood_dataset, detector
-- column pretraining: Pretraining data of the models, null where it is unknown; all for one regression over all
-- columns models: feature
-- column ingredient: As in the macro recipe_columns: of a text with the value that it tells of, as in augmentation=light1; null where
--   there is none
-- column scale: number; log10 for learning rates and weight decays, where all are above zero; of a text the value that it is
--   compared with: against none, else against the most frequent
-- column standardised: Change of the metric, in its standard deviations, for one standard deviation of a number, or for the text's
--   value; null where there are too few to tell
-- column low: Lower end of its 95 % interval (Student's t; from leaving out each checkpoint, or each recipe, in turn); null below
--   four degrees of freedom
-- column high: Its upper end
-- column freedom: Degrees of freedom (Bell & McCaffrey 2002), rounded down: how many checkpoints or recipes bear on it;
--   null below four
-- column p: Two-sided p that it is zero
-- column p_holm: The same corrected by Holm for the family of all rows of this answer on one OOD set
-- column change: Change of the metric itself for one more of a number, ten times as much of a log10, or for the text's value
-- column explained: Share of the metric's variance that the regression explains (R²)
-- column models: Models that the regression is of
-- column recipes: Their recipes: the mean of repeats counts once
-- column checkpoints: The pretrained checkpoints that they come from, as in the view ingredients
-- column speaks_of: What the intervals hold for: checkpoints like these (ten or more; finetunes of one are not independent), or
--   finetunes of this checkpoint, or of these, alone (fewer than ten; each has an intercept of its own, which explains, too); or
--   too few to tell
-- column left_out: Models with these metrics that are left out: a soup, or of unknown pretraining or ingredient
-- column ingredients_left_out: Ingredients that are left out, each with why: unknown of more than half of the recipes, constant,
--   following from those before it by name (collinear), the same within each of few checkpoints, or, of texts in the recipe's JSON, of too many values
with told as materialized (
    from recipe_columns($within)
),

of_models as (
    select distinct model, pretraining, feature, recipe_of as recipe, checkpoint
    from told
    where model is not null
),

-- A recipe has one row of told for each column, whatever its repeats.
columns_of as materialized (
    select recipe_of as recipe, min(checkpoint) as checkpoint, name, scale, any_value(number) as number
    from told
    where checkpoint is not null
    group by recipe_of, name, scale
),

asked as materialized (
    select
        of_models.pretraining, of_models.feature, metrics.ood_dataset, metrics.detector, of_models.recipe, count(*) as models,
        min(of_models.checkpoint) as checkpoint,
        avg(metric_of($metric, metrics.fpr95, metrics.auroc, metrics.aupr_in, metrics.aupr_out)) as value
    from metrics
    inner join of_models on of_models.model = metrics.model
    where
        metrics.benchmark = $benchmark and metrics.aggregation = $aggregation and metrics.ood_class is null
        and $ood in ('all', metrics.ood_dataset) and $detector in ('all', metrics.detector)
    group by all
),

-- One regression each. Those of the same recipes share what follows from the recipes alone: their design.
cells as materialized (
    select
        pretraining, feature, ood_dataset, detector, sum(models)::bigint as models,
        sum(models) filter (where checkpoint is not null) as used, avg(value) filter (where checkpoint is not null) as mean,
        list(recipe order by recipe) filter (where checkpoint is not null) as members,
        stddev_samp(value) filter (where checkpoint is not null) as deviation
    from asked
    group by all
),

designs as (
    select row_number() over (order by members) as design, members
    from (select distinct members from cells where members is not null)
),

regressions as materialized (
    select row_number() over () as cell, designs.design, cells.*
    from cells
    left join designs on designs.members = cells.members
),

-- Of few checkpoints, each has an intercept, and recipes are left out in turn; of many, checkpoints are.
units as materialized (
    select
        of_designs.design, recipes.recipe, count(distinct recipes.checkpoint) over own as checkpoints,
        case when checkpoints < 10 then recipes.recipe else recipes.checkpoint end as unit,
        case when checkpoints < 10 then recipes.checkpoint else '' end as intercept
    from (select design, unnest(members) as recipe from designs) as of_designs
    inner join (select distinct recipe, checkpoint from columns_of) as recipes on recipes.recipe = of_designs.recipe
    window own as (partition by of_designs.design)
),

-- Columns of mean 0 and standard deviation 1; what is constant is 0.
scaled as (
    select
        units.design, units.recipe, units.unit, units.intercept, columns_of.name, columns_of.scale, stddev_samp(columns_of.number) over own as deviation,
        case
            when min(columns_of.number) over own < max(columns_of.number) over own
                then (columns_of.number - avg(columns_of.number) over own) / stddev_samp(columns_of.number) over own
            else 0
        end as x
    from units
    inner join columns_of on columns_of.recipe = units.recipe
    window own as (partition by units.design, columns_of.name)
    union all by name
    select
        units.design, units.recipe, units.unit, every.intercept as name,
        case when every.intercept = units.intercept then 1 else 0 end as x
    from units
    inner join (select distinct design, intercept from units) as every on every.design = units.design
),

coded as materialized (
    select *, dense_rank() over (partition by design order by scale is not null, name) as place
    from scaled
),

-- Each unit's columns as lists, and their products.
squares as materialized (
    select design, unit, gram(list(x order by place)) as sums
    from (select design, unit, place, list(x order by recipe) as x from coded group by design, unit, place)
    group by design, unit
),

summed as materialized (
    select design, matrix_sum(list(sums)) as sums
    from squares
    group by design
),

whole as materialized (
    select design, sums, matrix_inverse(sums) as inverse
    from summed
),

-- The same without one unit: columns that the whole has no use for are empty.
rests as materialized (
    select
        squares.design, squares.unit,
        matrix_inverse(matrix_without(whole.sums, squares.sums, whole.inverse)) as inverse
    from squares
    inner join whole on whole.design = squares.design
),

names as materialized (
    select
        columns_of.* exclude (differs), whole.inverse[columns_of.place][columns_of.place] = 0 as is_collinear,
        case when columns_of.differs then 'collinear' else 'the same within each checkpoint' end as why,
        len(list_filter(whole.inverse, lambda row, i: row[i] > 0)) as coefficients
    from (
        select design, place, name, scale, deviation, bool_or(intercept = '' or differs) as differs
        from (
            select design, place, name, scale, deviation, intercept, min(x) < max(x) as differs
            from coded
            where scale is not null
            group by all
        )
        group by design, place, name, scale, deviation
    ) as columns_of
    inner join whole on whole.design = columns_of.design
),

precisions as materialized (
    select names.design, names.place, jackknife_precision(whole.sums, whole.inverse, of_design.inverses, names.place) as precision
    from names
    inner join whole on whole.design = names.design
    inner join (select design, list(inverse) as inverses from rests group by design) as of_design on of_design.design = names.design
    where not names.is_collinear
),

-- Metrics that differ in their last digits alone do not differ.
moments as materialized (
    select
        regressions.cell, coded.design, coded.unit, coded.place,
        sum(coded.x * case when round(regressions.deviation, 12) > 0 then (asked.value - regressions.mean) / regressions.deviation else 0 end)
        as moment
    from regressions
    inner join coded on coded.design = regressions.design
    inner join asked
        on asked.recipe = coded.recipe and asked.ood_dataset = regressions.ood_dataset and asked.detector = regressions.detector
    group by all
),

by_unit as materialized (
    select cell, design, unit, list(moment order by place) as moments
    from moments
    group by cell, design, unit
),

estimates as materialized (
    select
        of_cells.cell, of_cells.moments,
        list_transform(whole.inverse, lambda row: list_dot_product(row, of_cells.moments)) as coefficients
    from (
        select cell, design, list(moment order by place) as moments
        from (select cell, design, place, sum(moment) as moment from moments group by all)
        group by cell, design
    ) as of_cells
    inner join whole on whole.design = of_cells.design
),

remaining as (
    select
        by_unit.cell, rests.inverse, estimates.coefficients,
        list_transform(estimates.moments, lambda moment, i: moment - by_unit.moments[i]) as moments
    from by_unit
    inner join estimates on estimates.cell = by_unit.cell
    inner join rests on rests.design = by_unit.design and rests.unit = by_unit.unit
),

variances as (
    select cell, place, sum(moved ** 2) as variance
    from (
        select
            cell, unnest(range(1, len(coefficients) + 1)) as place,
            unnest(list_transform(inverse, lambda row, i: list_dot_product(row, moments) - coefficients[i])) as moved
        from remaining
    )
    group by cell, place
),

sizes as (
    select design, count(*) as recipes, any_value(checkpoints) as checkpoints
    from units
    group by design
),

-- A text's value is told as it is, and not by standard deviations.
found as (
    select
        regressions.*, names.name as ingredient, names.scale, coalesce(sizes.recipes, 0) as recipes,
        coalesce(sizes.checkpoints, 0) as checkpoints,
        coalesce(sizes.recipes >= $least * names.coefficients, false) as is_enough,
        case
            when round(regressions.deviation, 12) > 0 and sizes.recipes >= $least * names.coefficients
                then case when names.scale like 'against %' then 1 / names.deviation else 1 end
        end as per,
        estimates.coefficients[names.place] as coefficient, regressions.deviation / names.deviation as units,
        list_dot_product(estimates.coefficients, estimates.moments) / (sizes.recipes - 1) as explained,
        floor(round(precisions.precision.freedom, 6))::bigint as freedom,
        case when floor(round(precisions.precision.freedom, 6)) >= 4 then sqrt(variances.variance / precisions.precision.bias) end as error
    from regressions
    left join names on names.design = regressions.design and not names.is_collinear
    left join sizes on sizes.design = regressions.design
    left join estimates on estimates.cell = regressions.cell
    left join variances on variances.cell = regressions.cell and variances.place = names.place
    left join precisions on precisions.design = regressions.design and precisions.place = names.place
),

tested as (
    select *, case when per is not null and error > 0 then student_p(coefficient / error, freedom) end as p
    from found
),

-- Holm: each p times how many are at least as large, and never below that of a smaller p.
steps as (
    select *, least(1, p * count(p) over (partition by ood_dataset order by p desc nulls last)) as step
    from tested
),

of_pools as (
    select pretraining, feature, string_agg(name || ' (' || scale || ')', ', ' order by name) as left_out
    from told
    where model is null
    group by pretraining, feature
),

of_designs as (
    select design, string_agg(name || ' (' || why || ')', ', ' order by name) as left_out
    from names
    where is_collinear
    group by design
)

select
    ood_dataset, detector, steps.pretraining, steps.feature, ingredient, scale, per * coefficient as standardised,
    per * (coefficient - student_t(freedom) * error) as low, per * (coefficient + student_t(freedom) * error) as high,
    case when per is not null and freedom >= 4 then freedom end as freedom, p,
    case when p is not null then max(step) over (partition by ood_dataset order by p nulls last) end as p_holm,
    case when per is not null then coefficient * units end as change, case when per is not null then explained end as explained,
    coalesce(used, 0)::bigint as models, recipes, checkpoints,
    case
        when not is_enough then 'too few to tell'
        when checkpoints >= 10 then 'checkpoints like these'
        when checkpoints = 1 then 'finetunes of this checkpoint'
        else 'finetunes of these ' || checkpoints || ' checkpoints'
    end as speaks_of,
    (models - coalesce(used, 0))::bigint as left_out,
    nullif(concat_ws(', ', of_pools.left_out, of_designs.left_out), '') as ingredients_left_out
from steps
left join of_pools on of_pools.pretraining = steps.pretraining and of_pools.feature is not distinct from steps.feature
left join of_designs on of_designs.design = steps.design
order by ood_dataset, detector, pretraining nulls last, feature nulls last, ingredient nulls last
