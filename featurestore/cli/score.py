"""`featurestore score`."""

from __future__ import annotations

from typing import Annotated

import typer

from featurestore.cli.options import SOME_FAILED, DatasetsOption, LakeOption, ModelsOption, lake_with_verbs, ray_option
from featurestore.cli.output import say, tell, tell_refused


def score(
    model: ModelsOption = None,
    detector: Annotated[
        list[str] | None,
        typer.Option(
            "--detector",
            help="Only these detectors, or with other constants: knn:k=50, knn:k=10,50,200, vra:low=0.2,high=0.8; all for every one there is, in both conventions.",
        ),
    ] = None,
    dataset: DatasetsOption = None,
    benchmark: Annotated[str | None, typer.Option(help="Only this benchmark.")] = None,
    plugin: Annotated[
        list[str] | None,
        typer.Option("--plugin", help="Module, or its .py file, with detectors of your own; may be given many times."),
    ] = None,
    memory: Annotated[
        str, typer.Option(help="What the statistics that detectors learn from should stay below together.")
    ] = "1GB",
    ray: Annotated[str | None, ray_option("Fit")] = None,
    ensemble: Annotated[
        str | None,
        typer.Option(
            metavar="NAME=MODEL/DETECTOR,…",
            help="Combine stored scores by sample, and store them as those of a model NAME.",
        ),
    ] = None,
    combine: Annotated[str, typer.Option(help="How: mean-rank, mean-z or weighted.")] = "mean-rank",
    tune_on: Annotated[
        str | None, typer.Option(help="weighted: the OOD dataset of which half the classes choose the weights.")
    ] = None,
    lake: LakeOption = None,
) -> None:
    """Fit detectors, score activations and compute metrics, where they are missing or stale.

    Example:
        featurestore score --model vit-b16 --detector mahalanobis --detector knn:k=50
    """
    summary = lake_with_verbs(lake).score(
        model=model,
        detector=detector,
        dataset=dataset,
        benchmark=benchmark,
        plugin=plugin,
        memory=memory,
        ray=ray,
        ensemble=ensemble,
        combine=combine,
        tune_on=tune_on,
        say=say,
    )
    say(f"{summary.scored} score partitions made, {summary.reused} cache hits, {summary.seconds:.1f} s")
    tell_refused(summary.refused)
    tell(scored=summary.scored, reused=summary.reused, skipped=summary.skipped)
    if summary.refused:
        raise typer.Exit(SOME_FAILED)
