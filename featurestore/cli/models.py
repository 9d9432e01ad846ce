"""`featurestore model …`: what the lake holds of models."""

from __future__ import annotations

from typing import Annotated

import typer

from featurestore.cli.options import DryRunOption, FormatOption, LakeOption, lake_at, lake_with_verbs
from featurestore.cli.output import say, tell_edit
from featurestore.cli.render import show


def model_rename(
    old: Annotated[str, typer.Argument(help="Name of the model in the lake.")],
    new: Annotated[str, typer.Argument(help="Its new name.")],
    dry_run: DryRunOption = False,
    lake: LakeOption = None,
) -> None:
    """Rename a model, and its layers, wherever it is named; nothing is extracted or scored again.

    Example:
        featurestore model rename checkpoint-7 vit-b16
    """
    tell_edit(lake_with_verbs(lake).rename("model", old, new, dry_run=dry_run, say=say), dry_run=dry_run)


def model_remove(
    name: Annotated[str, typer.Argument(help="Name of the model in the lake.")],
    dry_run: DryRunOption = False,
    lake: LakeOption = None,
) -> None:
    """Remove a model, its layers, and all that was made from them.

    Example:
        featurestore model remove vit-b16 --dry-run
    """
    tell_edit(lake_with_verbs(lake).remove("model", name, dry_run=dry_run, say=say), dry_run=dry_run)


def model_list(format_: FormatOption = "table", lake: LakeOption = None) -> None:
    """List the models with their recipes.

    Example:
        featurestore model list --format csv
    """
    from featurestore.layout.tables import RECIPE_COLUMNS

    columns = ", ".join(RECIPE_COLUMNS)
    query = f"select model, base_model, architecture, params, source, {columns} from models order by model"  # noqa: S608 # names of columns
    show(lake_at(lake).sql(query), format_)


def model_set(
    name: Annotated[str, typer.Argument(help="Name of the model in the lake.")],
    values: Annotated[
        list[str],
        typer.Argument(help="What is known of its training, as weight_decay=0.1; column= or column=null if it is not."),
    ],
    dry_run: DryRunOption = False,
    lake: LakeOption = None,
) -> None:
    """Correct what the lake says of a model's training, and of its layers'; nothing is extracted or scored again.

    Example:
        featurestore model set vit-b16 weight_decay=0.1 pretraining=in21k
    """
    tell_edit(lake_with_verbs(lake).set_model(name, values, dry_run=dry_run, say=say), dry_run=dry_run)
