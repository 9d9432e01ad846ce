"""`featurestore model …`: what the lake holds of models."""

from __future__ import annotations

from typing import Annotated

import typer

from featurestore.cli import edits
from featurestore.cli.options import DryRunOption, LakeOption
from featurestore.lake import Lake


def model_remove(
    name: Annotated[str, typer.Argument(help="Name of the model in the lake.")],
    dry_run: DryRunOption = False,
    lake: LakeOption = None,
) -> None:
    """Remove a model, its layers, and all that was made from them."""
    edits.remove(Lake(lake), "model", name, dry_run=dry_run)
