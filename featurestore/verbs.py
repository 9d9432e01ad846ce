"""The lake with verbs: what the commands do, with the same words and defaults, for scripts and notebooks.

The stages are imported when a verb needs them: `extract` alone needs torch.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import fields
from dataclasses import replace as changed
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featurestore.errors import InputError, StaleWarning
from featurestore.lake import Lake
from featurestore.names import pick
from featurestore.packages import guard
from featurestore.progress import no_bar
from featurestore.progress import progress as shown

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    import polars as pl

    from analysis.scoring import ScoringSummary
    from extract.datasets import DatasetRow
    from extract.job.run import ExtractionSummary
    from featurestore.care.verify import Fault
    from featurestore.judge import Judge
    from featurestore.progress import Bars

    Names = str | Sequence[str] | None
    Said = Callable[[str], None] | None


class VerbLake(Lake):
    """A lake on which everything that the commands do can be called; `featurestore.Lake` is this class.

    Options have the names of the commands' (`--crop-pct` is `crop_pct`); where a command takes an option many times, a verb
    takes one text or a list. `say` is told what the command would print, by default on standard output; None keeps it quiet.
    `progress` shows how far long work is: a function of a title and a number of steps that gives a context with a function
    to call with the number just done; None shows nothing.
    """

    def add_dataset(
        self,
        name: str,
        path: str | os.PathLike[str] | None = None,
        *,
        role: str | None = None,
        benchmark: str | None = None,
        group: str | None = None,
        from_: str | None = None,
        classes: str | Sequence[str] | None = None,
        where: str | None = None,
        format: str | None = None,  # noqa: A002 # the command's word
        replace: bool = False,
        say: Said = print,
        **options: Any,
    ) -> DatasetRow:
        """Add a dataset, as `featurestore dataset add`.

        Args:
            name: Its name in the lake.
            path: Where its images lie: file, folder, glob, URL, or `hf:NAME@split`.
            role: `fit`, `id`, `ood`, `val` or `csid`; by default that which the lake holds, or the parent's.
            benchmark: Benchmark that it takes part in; by default those that it is in, else `main`.
            group: Group of an OOD dataset, such as `near`.
            from_: In the place of a path: the dataset of the lake that this one is a part of.
            classes: Of such a part: its classes.
            where: Of such a part: a condition on `samples`, in SQL.
            format: How the images lie; by default as the location tells.
            replace: Swap what the lake holds under the name.
            say: Is told what was inferred.
            options: The command's other options: `labels`, `label_order`, `split`, `per_class`, …

        Returns:
            Its row: name, role, number of samples and classes, digest.

        Raises:
            InputError: The images cannot be listed, or an option cannot be.
            ConflictError: The lake holds another dataset of this name.
        """
        guard()
        from extract.datasets import FormatOptions, add_dataset, place
        from extract.subsets import Choice, add_part

        known = [field.name for field in fields(FormatOptions)]
        for option in options:
            pick("option of add_dataset", option, known)
        for option in ("labels", "synsets"):
            if options.get(option) is not None:
                options[option] = Path(options[option])
        if options.get("root") is not None:
            options["root"] = place(str(options["root"]))
        both: Any = {"role": role, "benchmark": benchmark, "group": group, "replacing": replace, "say": _told(say)}
        if (path is None) == (from_ is None):
            raise InputError("Give where the images lie (path), or the dataset of the lake that has them (from_).")
        if from_ is not None:
            self.check_exists()
            choice = Choice(tuple(_listed(classes)), where or "", options.get("per_class"), options.get("seed"))
            return add_part(self, name, from_, choice, **both)
        if classes or where:
            raise InputError("classes and where choose a part of another dataset: give it with from_.")
        return add_dataset(self, name, str(path), format_=format, options=FormatOptions(**options), **both)

    def extract(
        self,
        model: Names = None,
        *,
        dataset: Names = None,
        architecture: str | None = None,
        model_kwargs: Mapping[str, Any] | Sequence[str] | None = None,
        name: str | None = None,
        weights: str = "auto",
        key_map: str | os.PathLike[str] | None = None,
        recipes: str | os.PathLike[str] | None = None,
        head: str | os.PathLike[str] | None = None,
        input_size: int | str | Sequence[int] | None = None,
        crop_pct: float | None = None,
        crop_mode: str | None = None,
        interpolation: str | None = None,
        mean: float | str | Sequence[float] | None = None,
        std: float | str | Sequence[float] | None = None,
        preprocess: str | os.PathLike[str] | None = None,
        feature: str | None = None,
        pool: str | os.PathLike[str] | None = None,
        checkpoints: str | os.PathLike[str] | None = None,
        shard: str | None = None,
        soup: str | None = None,
        soup_name: str | None = None,
        soup_on: str | None = None,
        soup_out: str | os.PathLike[str] = "soups",
        device: str = "auto",
        batch_size: int = 64,
        workers: int | None = None,
        amp: str = "off",
        compile: bool = False,  # noqa: A002 # the command's word
        dtype: str = "float32",
        logits: str = "stored",
        allow_unreadable: bool = False,
        ray: str | None = None,
        replace: bool = False,
        say: Said = print,
        progress: Bars | None = shown,
    ) -> ExtractionSummary | None:
        """Write the activations of models on datasets, each once, as `featurestore extract`.

        Args:
            model: Checkpoint files, folders that hold one, or timm's names.
            dataset: Datasets of the lake; by default all.
            architecture: timm's name of the network that the checkpoint files belong to.
            model_kwargs: Arguments of the network, as a mapping or as `name=value`.
            name: Name of the one model in the lake.
            weights: Which weights of a checkpoint that holds several: `auto`, `raw`, `ema`, or their key.
            key_map: File of regular expressions that turn names in the checkpoint into timm's.
            recipes: JSON file that says how the models were trained.
            head: NPZ file with a head in the place of the network's own.
            input_size: Preprocessing: pixels of the input, one side or height and width.
            crop_pct: Preprocessing: the share of the resized image that the input is cropped to.
            crop_mode: Preprocessing: `center`, `squash` or `border`.
            interpolation: Preprocessing: `bicubic`, `bilinear`, …
            mean: Preprocessing: mean of RGB, of pixels between 0 and 1.
            std: Preprocessing: standard deviation of RGB.
            preprocess: JSON file with the preprocessing.
            feature: What to store: `penultimate`, and layers such as `blocks.6`, with commas.
            pool: CSV file with one model per row, or the name of a shipped pool.
            checkpoints: Folder with the pool's checkpoints.
            shard: Only a part of the models, as `3/16`.
            soup: `uniform` or `greedy`: average the models, and extract that one in their place.
            soup_name: Name of that model.
            soup_on: Labelled dataset whose accuracy a greedy soup goes by.
            soup_out: Folder for the averaged weights.
            device: `auto`, `cpu`, `cuda`, `cuda:N`, or several as `cuda:0,1`.
            batch_size: Images per forward pass.
            workers: Processes that decode images; None chooses.
            amp: Mixed precision: `off`, `bf16` or `fp16`.
            compile: Compile the networks first.
            dtype: Stored precision: `float32` or `float16`.
            logits: `stored`, or `derived` for fit datasets.
            allow_unreadable: List images that cannot be read where they lie as failures, and go on.
            ray: Address of a Ray cluster, or an empty text for a local one.
            replace: Swap what the lake holds under the same names.
            say: Is told what was inferred, and each partition in a line.
            progress: Shows how far it is.

        Returns:
            What was made and reused, how many samples failed, which models were left out and why; None if a shard is empty.

        Raises:
            InputError: Nothing or something wrong is named, or the only model cannot be loaded.
            ConflictError: The lake holds activations of the only model that were made from something else.
            MissingError: The lake holds no such dataset, or there is no lake.
        """
        self.check_exists()  # before torch is imported: a lake that is not there is said at once
        guard()
        from extract.datasets import dataset_names
        from extract.job import Options, run_job
        from extract.models import Refusals
        from extract.pools import ModelSelection, select
        from extract.soups import make_soup, soup_options

        models, tell = _listed(model), _told(say)
        if name is not None and (len(models) != 1 or pool is not None):
            raise InputError("--name names one model, given with --model: a pool's column model names its own.")
        averaged = soup_options(soup, soup_name, soup_on, Path(soup_out))
        stated = {
            "input_size": input_size,
            "crop_pct": crop_pct,
            "crop_mode": crop_mode,
            "interpolation": interpolation,
            "mean": mean,
            "std": std,
        }
        chosen = ModelSelection(
            models=models,
            architecture=architecture,
            model_kwargs=_pairs(model_kwargs),
            pool=None if pool is None else str(pool),
            checkpoints=_path(checkpoints),
            shard=shard,
            recipes=_path(recipes),
            head=_path(head),
            feature=feature,
            name=name,
            which=weights,
            key_map=_path(key_map),
            preprocess={field: value for field, value in stated.items() if value is not None},
            preprocess_file=_path(preprocess),
        )
        datasets = _listed(dataset)
        if not datasets:
            datasets = dataset_names(self)
            tell(f"datasets: {', '.join(datasets)} (all of the lake; --dataset chooses)")
        if not datasets:
            raise InputError("The lake holds no dataset yet: add one with `featurestore dataset add`.")
        refusals = Refusals(whole=averaged is not None)
        specs = select(chosen, tell, refusals)
        if not specs:
            return None
        options = Options(
            *(device, batch_size, workers, amp, dtype, replace),
            compiling=compile,
            logits=logits,
            allow_unreadable=allow_unreadable,
            bars=progress or no_bar,
        )
        if averaged:
            specs = [changed(make_soup(self, specs, averaged, options, tell), features=specs[0].features)]
        return run_job(self, specs, datasets, options, tell, ray_address=ray, refusals=refusals)

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
            detector: Only these detectors; `all` for every one there is.
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

        tell, detectors = _told(say), _listed(detector)
        for module in _listed(plugin):
            tell(f"{module}: {', '.join(registry.load_plugin(module))}")
        if ensemble:
            from analysis.ensembles import parse

            return score_ensemble(self, parse(ensemble, detectors, combine, tune_on), benchmark, tell)
        if tune_on:
            raise InputError("--tune-on chooses the weights of an --ensemble: give one.")
        from analysis.statistics.on_ray import on_ray

        run = None if ray is None else on_ray(ray or None, registry.plugin_modules())
        means = Means(parse_bytes(memory), run, progress or no_bar)
        selection = ScoringSelection(_listed(model), detectors, _listed(dataset), benchmark)
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
        """What was fitted, in use: a detector of the lake with the threshold that its ID test scores set, as `featurestore judge`.

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
            It: `score(feature, logits)`, `threshold`, `threshold_interval` and `accepts(feature, logits)` take numpy alone, and so
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

        for module in _listed(plugin):
            registry.load_plugin(module)

        judge = read_judge(Judge, self, model, detector, tpr=tpr, benchmark=benchmark, say=_told(say))
        return judge.in_memory() if in_memory else judge

    def status(self, *, model: Names = None, dataset: Names = None) -> pl.DataFrame:
        """What the lake holds of each model on each dataset, as `featurestore status --format csv`.

        Returns:
            A row per model, dataset and stage, with its state (`fresh`, `stale`, `missing`, …) and the reason.
        """
        guard()
        import polars as pl

        from analysis.detectors.registry import known_by
        from analysis.status import long, read_lake_index, status_rows

        index = read_lake_index(self)
        rows = status_rows(index, known_by(index.detectors), _listed(model), _listed(dataset))
        return pl.DataFrame(pl.from_arrow(long(rows, datetime.now(UTC))))

    def verify(self, *, deep: bool = False, say: Said = None, progress: Bars | None = shown) -> Sequence[Fault]:
        """Check that the lake holds what its manifests say, as `featurestore verify`.

        Args:
            deep: Hash every file and check every row too.
            say: Is told each fault as it is found.
            progress: Shows how far it is.

        Returns:
            The faults; none in a sound lake.
        """
        from featurestore.care import verify

        self.check_exists()
        tell, faults = _told(say), list[Any]()

        def found(fault: Fault) -> None:
            faults.append(fault)
            tell(str(fault))

        verify.verify(self.storage, found, deep=deep, bar=partial(progress, "verify") if progress else None)
        return faults

    def report(
        self,
        out: str | os.PathLike[str],
        *,
        figures: str | os.PathLike[str] | None = None,
        benchmark: str | None = None,
    ) -> Path:
        """Write one HTML page that works offline, as `featurestore report`.

        Args:
            out: The file.
            figures: Folder for each figure as PNG, SVG and CSV too.
            benchmark: The benchmark to report on; by default `main`, else the first with metrics.

        Returns:
            The file.

        Raises:
            MissingError: The lake has no metrics yet, or none of that benchmark; or all are stale.

        Warns:
            StaleWarning: Something is left out because it is stale, or is partial.
        """
        guard()
        from analysis.report import write_report

        opener = image_opener_of(self)
        write_report(self, Path(out), figures=_path(figures), benchmark=benchmark, open_image=opener, note=_warn)
        return Path(out)


def _warn(sentences: Sequence[str]) -> None:
    for sentence in sentences:
        warnings.warn(sentence, StaleWarning, stacklevel=4)


def image_opener_of(lake: Lake) -> Callable[[str, int], Any] | None:
    """What opens a sample's image; nothing does where images cannot be decoded."""
    try:
        from extract.images import image_opener
    except ModuleNotFoundError:
        return None
    return image_opener(lake)


def _listed(names: Names) -> list[str]:
    return [] if names is None else [str(names)] if isinstance(names, (str, Path)) else [str(name) for name in names]


def _pairs(arguments: Mapping[str, Any] | Sequence[str] | None) -> Sequence[str]:
    """Arguments as the command takes them, `name=value` with JSON values."""
    if isinstance(arguments, Mapping):
        return [f"{name}={json.dumps(value)}" for name, value in arguments.items()]
    return arguments or ()


def _path(place: str | os.PathLike[str] | None) -> Path | None:
    return None if place is None else Path(place)


def _told(say: Said) -> Callable[[str], None]:
    return say or (lambda _: None)
