"""Verbs that make scores, and that show what follows from them."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featurestore.errors import InputError
from featurestore.lake import Lake
from featurestore.packages import guard
from featurestore.progress import no_bar
from featurestore.progress import progress as shown
from featurestore.stored_lake import warn_stale
from featurestore.verbs.arguments import listed, path_of, told

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    import polars as pl

    from analysis.scoring import ScoringSummary
    from featurestore.judge import Judge
    from featurestore.progress import Bars
    from featurestore.verbs.arguments import Names, Said


class ScoringLake(Lake):
    """A lake whose activations are scored, judged by, and reported on."""

    def score(
        self,
        *,
        model: Names = None,
        detector: Names = None,
        dataset: Names = None,
        benchmark: str | None = None,
        plugin: Names = None,
        memory: str = "1GB",
        ray: str | None = None,
        ensemble: str | None = None,
        combine: str = "mean-rank",
        tune_on: str | None = None,
        say: Said = print,
        progress: Bars | None = shown,
    ) -> ScoringSummary:
        """Fit detectors, score activations and compute metrics where they are missing or stale, as `featurestore score`.

        Args:
            model: Only these models.
            detector: Only these detectors, or with other constants, as `knn:k=10,50`; `all` for every one there is.
            dataset: Only these datasets.
            benchmark: Only this benchmark.
            plugin: Modules, or `.py` files, with detectors of one's own.
            memory: What statistics should stay below together, as `1GB`.
            ray: Address of a Ray cluster to fit on, or an empty text for a local one.
            ensemble: `NAME=MODEL/DETECTOR,…` combines stored scores instead.
            combine: How: `mean-rank`, `mean-z` or `weighted`.
            tune_on: `weighted`: the OOD dataset of which half the classes choose the weights.
            say: Is told what is done.
            progress: Shows how far it is.

        Returns:
            How many score partitions were made and reused, and what was left out and why.

        Raises:
            MissingError: There is no lake, or nothing of such a name.
            ConflictError: The only model cannot be scored.
        """
        guard()
        from analysis.detectors import registry
        from analysis.scoring import Means, ScoringSelection, score, score_ensemble
        from featurestore.quantities import parse_bytes

        tell, detectors = told(say), listed(detector)
        for module in listed(plugin):
            tell(f"{module}: {', '.join(registry.load_plugin(module))}")
        if ensemble:
            from analysis.ensembles import parse

            return score_ensemble(self, parse(ensemble, detectors, combine, tune_on), benchmark, tell)
        if tune_on:
            raise InputError("--tune-on chooses the weights of an --ensemble: give one.")
        from analysis.statistics.on_ray import on_ray

        run = None if ray is None else on_ray(ray or None, registry.plugin_modules())
        means = Means(parse_bytes(memory), run, progress or no_bar)
        selection = ScoringSelection(listed(model), detectors, listed(dataset), benchmark)
        summary = score(self, selection, tell, means)
        if not detectors and registry.costly_detectors():
            costly = ", ".join(found.name for found in registry.costly_detectors())
            tell(f"Left out for their cost: {costly}; --detector NAME asks for one, --detector all for every one.")
        return summary

    def judge(
        self,
        model: str,
        detector: str,
        *,
        tpr: float = 0.95,
        benchmark: str | None = None,
        plugin: Names = None,
        in_memory: bool = True,
        say: Said = print,
    ) -> Judge:
        """A fitted detector of the lake, with the threshold that its ID test scores set, as `featurestore judge` uses it.

        Args:
            model: A model with activations.
            detector: A detector that it was scored with.
            tpr: Share of the ID test images that the threshold accepts.
            benchmark: The benchmark; by default `main`, or the only one in which the model was extracted.
            plugin: Modules, or `.py` files, with detectors of one's own.
            in_memory: Whether fit rows that a detector compares with (`knn`, `relation`) are read now, all of them; else each call
                sweeps over them in the lake.
            say: Is told what the user should know of the fit.

        Returns:
            The judge: `score(feature, logits)`, `threshold`, `threshold_interval` and `accepts(feature, logits)` take numpy alone, and so
            do pickles and what `save(FILE)` writes for `featurestore.judge.Judge.load`; `images(…)` and `as_module()` take torch.

        Raises:
            MissingError: There is nothing of such a name, or it was not scored yet.
            ConflictError: The scores or activations are stale.
            InputError: The model is in several benchmarks, or the detector cannot learn from it.
        """
        guard()
        from analysis.detectors import registry
        from analysis.judging.from_lake import read_judge
        from featurestore.judge import Judge

        for module in listed(plugin):
            registry.load_plugin(module)
        judge = read_judge(Judge, self, model, detector, tpr=tpr, benchmark=benchmark, say=told(say))
        return judge.in_memory() if in_memory else judge

    def status(self, *, model: Names = None, dataset: Names = None) -> pl.DataFrame:
        """What the lake holds of each model on each dataset, as `featurestore status --format csv`.

        Returns:
            A row per model, dataset and stage, with its state (`fresh`, `stale`, `missing`, …) and the reason.
        """
        guard()
        from analysis.detectors.registry import known_by
        from analysis.status import frame, long, read_lake_index, status_rows

        index = read_lake_index(self)
        rows = status_rows(index, known_by(index.detectors), listed(model), listed(dataset))
        return frame(long(rows, datetime.now(UTC)))

    def report(
        self,
        out: str | os.PathLike[str],
        *,
        figures: str | os.PathLike[str] | None = None,
        benchmark: str | None = None,
        metric: str = "fpr95",
        images: Names = None,
    ) -> Path:
        """Write one HTML page that works offline, as `featurestore report`.

        Args:
            out: The file.
            figures: Folder for each figure as PNG, SVG and CSV too.
            benchmark: The benchmark to report on; by default `main`, else the first with metrics.
            metric: The metric that detectors are ranked by: `fpr95`, `auroc`, `aupr_in` or `aupr_out`.
            images: Folders and URLs from which pictures may be shown, wherever else the lake says that its images lie.

        Returns:
            The file.

        Raises:
            MissingError: The lake has no metrics yet, or none of that benchmark; or all are stale; or there is no such metric.

        Warns:
            StaleWarning: Something is left out because it is stale, or is partial.
        """
        guard()
        from analysis.report import write_report

        write_report(
            self,
            Path(out),
            figures=path_of(figures),
            benchmark=benchmark,
            metric=metric,
            open_image=image_opener_of(self, listed(images)),
            note=partial(warn_stale, stacklevel=4),
        )
        return Path(out)


def image_opener_of(lake: Lake, places: Sequence[str]) -> Callable[[str, int], Any] | None:
    """What opens a sample's image, below one of the places; nothing does where none is named."""
    if not places:
        return None
    from extract.images import image_opener

    return image_opener(lake, places)
