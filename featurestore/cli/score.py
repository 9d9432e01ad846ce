"""`featurestore score`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from featurestore.cli.options import SOME_FAILED, DatasetsOption, LakeOption, ModelsOption, ray_option, say
from featurestore.errors import InputError
from featurestore.lake import Lake


def score(
    model: ModelsOption = None,
    detector: Annotated[
        list[str] | None,
        typer.Option("--detector", help="Only these detectors; all for every one there is, in both conventions."),
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
    """Fit detectors, score activations and compute metrics, where they are missing or stale."""
    from analysis.detectors import registry
    from analysis.scoring import Means, ScoringSelection, score, score_ensemble
    from featurestore.quantities import parse_bytes

    for name in plugin or ():
        say(f"{name}: {', '.join(registry.load_plugin(name))}")
    opened = Lake(lake)
    if ensemble:
        from analysis.ensembles import parse

        summary = score_ensemble(opened, parse(ensemble, detector or (), combine, tune_on), benchmark, say)
    else:
        if tune_on:
            raise InputError("--tune-on chooses the weights of an --ensemble: give one.")
        from analysis.statistics.on_ray import on_ray
        from featurestore.progress import progress

        run = None if ray is None else on_ray(ray or None, registry.plugin_modules())
        means = Means(parse_bytes(memory), run, progress)
        summary = score(opened, ScoringSelection(model or (), detector or (), dataset or (), benchmark), say, means)
        if not detector and registry.costly_detectors():
            costly = ", ".join(found.name for found in registry.costly_detectors())
            say(f"Left out for their cost: {costly}; --detector NAME asks for one, --detector all for every one.")
    say(f"{summary.scored} score partitions made, {summary.reused} cache hits, {summary.seconds:.1f} s")
    for refused, reason in summary.refused.items():
        sys.stderr.write(f"{refused} was left out: {reason}\n")
    if summary.refused:
        raise typer.Exit(SOME_FAILED)
