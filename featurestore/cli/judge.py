"""`featurestore judge`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from featurestore.cli.options import FormatOption, LakeOption, complete_models, lake_with_verbs
from featurestore.cli.output import say_aside, tell
from featurestore.cli.render import check_format, show_frame
from featurestore.progress import progress


def judge(
    images: Annotated[list[str], typer.Argument(help="Image files, folders that hold some, or quoted globs.")],
    model: Annotated[str, typer.Option(help="Model of the lake.", autocompletion=complete_models)],
    detector: Annotated[str, typer.Option(help="Detector that it was scored with, as knn or knn:k=50.")],
    tpr: Annotated[float, typer.Option(help="Share of the ID test images that the threshold accepts.")] = 0.95,
    benchmark: Annotated[
        str | None, typer.Option(help="Benchmark whose ID test images these are. [default: main, or the only one]")
    ] = None,
    plugin: Annotated[
        list[str] | None,
        typer.Option("--plugin", help="Module, or its .py file, with detectors of your own; may be given many times."),
    ] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="Where the checkpoint lies now. [default: where it was extracted from]")
    ] = None,
    key_map: Annotated[Path | None, typer.Option(help="The same of the file given to extract as --key-map.")] = None,
    head: Annotated[Path | None, typer.Option(help="The same of the file given to extract as --head.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    batch_size: Annotated[int, typer.Option(min=1, help="Images per forward pass.")] = 64,
    workers: Annotated[
        int | None, typer.Option(min=0, help="Processes that decode images; by default chosen by their number.")
    ] = None,
    format_: FormatOption = "table",
    lake: LakeOption = None,
) -> None:
    """Judge images by a model and a detector of the lake: a row per image, in-distribution or not.

    Example:
        featurestore judge photograph.jpg --model vit-b16 --detector mahalanobis
    """
    check_format(format_)
    notes: list[str] = []  # on standard error once there is an answer that they are about
    judged = lake_with_verbs(lake).judge(
        model, detector, tpr=tpr, benchmark=benchmark, plugin=plugin, in_memory=False, say=notes.append
    )
    rows = judged.images(
        images,
        checkpoint=checkpoint,
        key_map=key_map,
        head=head,
        device=device,
        batch_size=batch_size,
        workers=workers,
        progress=progress,
    )
    low, high = judged.threshold_interval
    for note in notes:
        say_aside(note)
    say_aside(
        f"{model} and {judged.fitted.detector.name} accept scores of at least {judged.threshold:.6g}, as {tpr:.4g} of {len(judged.id_scores):,} images of "
        f"{judged.id_dataset} (benchmark {judged.benchmark}) have; of all ID images, that threshold lies between {low:.6g} and "
        f"{high:.6g} (95 % interval)"
    )
    show_frame(rows, format_)
    failed = rows["error"].count()
    tell(failed=failed, threshold=judged.threshold, threshold_interval=[low, high])
    if failed:
        say_aside(f"{failed:,} of {len(rows):,} images could not be judged: the column error says why.")
