"""Verbs that make what a lake holds out of images: datasets, benchmarks, unit-tests, activations."""

from __future__ import annotations

from dataclasses import fields
from dataclasses import replace as changed
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featurestore.errors import InputError
from featurestore.lake import Lake
from featurestore.names import pick
from featurestore.packages import guard
from featurestore.progress import no_bar
from featurestore.progress import progress as shown
from featurestore.verbs.arguments import bar_of, listed, pairs, path_of, told

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from extract.datasets import DatasetRow
    from extract.job.summary import ExtractionSummary
    from extract.suites import SuiteSummary
    from extract.unit_tests import UnitTestSummary
    from featurestore.progress import Bars
    from featurestore.verbs.arguments import Names, Said


class MakingLake(Lake):
    """A lake that is filled from images; `extract` alone imports torch."""

    def add_dataset(
        self,
        name: str,
        path: str | os.PathLike[str] | None = None,
        *,
        role: str | None = None,
        benchmark: str | None = None,
        group: str | None = None,
        seen_in: Names | Mapping[str, Sequence[str] | None] = None,
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
            seen_in: Pretraining data that hold its classes, or by such data which classes they hold, None for all.
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
        from extract.datasets import FormatOptions, add_dataset, place, read_seen
        from extract.subsets import Choice, add_part

        known = [field.name for field in fields(FormatOptions)]
        for option in options:
            pick("option of add_dataset", option, known)
        for option in ("labels", "synsets"):
            if options.get(option) is not None:
                options[option] = Path(options[option])
        if options.get("root") is not None:
            options["root"] = place(str(options["root"]))
        both: Any = {"role": role, "benchmark": benchmark, "group": group, "replacing": replace, "say": told(say)}
        both["seen_in"] = read_seen(seen_in)
        if (path is None) == (from_ is None):
            raise InputError("Give where the images lie (path), or the dataset of the lake that has them (from_).")
        if from_ is not None:
            self.check_exists()
            choice = Choice(tuple(listed(classes)), where or "", options.get("per_class"), options.get("seed"))
            return add_part(self, name, from_, choice, **both)
        if classes or where:
            raise InputError("classes and where choose a part of another dataset: give it with from_.")
        return add_dataset(self, name, str(path), format_=format, options=FormatOptions(**options), **both)

    def add_benchmark(
        self, name: str, suite: str, root: str | os.PathLike[str], *, replace: bool = False, say: Said = print
    ) -> SuiteSummary:
        """Add a whole suite, each of its sets as a dataset with its role and group, as `featurestore benchmark add`.

        Args:
            name: The benchmark's name in the lake.
            suite: `openood-v1.5-imagenet1k`, `ninco-2023`, …; see the command.
            root: The folder that it was downloaded to.
            replace: Swap what the lake holds under the same names.
            say: Is told of each set.

        Returns:
            The sets that were added, were there, and are missing, these with what to do.

        Raises:
            MissingError: There is no such suite, or no such folder.
        """
        guard()
        from extract.suites import add_suite

        return add_suite(self, name, suite, Path(root), replacing=replace, say=told(say))

    @staticmethod
    def unit_tests(
        out: str | os.PathLike[str],
        *,
        images: str | os.PathLike[str],
        kinds: str | Sequence[str] | None = None,
        per_kind: int = 400,
        seed: int = 0,
        progress: Bars | None = shown,
    ) -> UnitTestSummary:
        """Make the synthetic unit-test images, as `featurestore unit-tests`; they come into a lake as a dataset of the format `ninco`.

        Args:
            out: The folder to write; it becomes a NINCO root.
            images: The folder of images that sizes and pixels are drawn from.
            kinds: Which kinds; all 17 by default.
            per_kind: Images of each.
            seed: Seed of the pixels.
            progress: Shows how far it is.

        Returns:
            How many images were written, and how many were there.
        """
        guard()
        from extract.unit_tests import write_unit_tests

        chosen = listed(kinds.split(",") if isinstance(kinds, str) else kinds) or None
        bar = bar_of(progress, "unit-tests")
        return write_unit_tests(Path(out), Path(images), kinds=chosen, per_kind=per_kind, seed=seed, bar=bar)

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
        decode: str | None = None,
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
            decode: Preprocessing: `exact`, or `fast`, which decodes large JPEGs at a fraction of their size.
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

        models, tell = listed(model), told(say)
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
            "decode": decode,
        }
        chosen = ModelSelection(
            models=models,
            architecture=architecture,
            model_kwargs=pairs(model_kwargs),
            pool=None if pool is None else str(pool),
            checkpoints=path_of(checkpoints),
            shard=shard,
            recipes=path_of(recipes),
            head=path_of(head),
            feature=feature,
            name=name,
            which=weights,
            key_map=path_of(key_map),
            preprocess={field: value for field, value in stated.items() if value is not None},
            preprocess_file=path_of(preprocess),
        )
        datasets = listed(dataset)
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
