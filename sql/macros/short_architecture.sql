-- title: A short name of an architecture: timm's, with + and six hexadecimal digits of its arguments where there are some
-- argument architecture: timm's name
-- argument model_kwargs: Its arguments, as a JSON object, of which img_size and num_classes do not count: models have both
architecture || coalesce(
    '+' || left(
        md5(nullif(json_merge_patch(coalesce(model_kwargs, '{}'), '{"img_size": null, "num_classes": null}')::varchar, '{}')), 6
    ),
    ''
)
