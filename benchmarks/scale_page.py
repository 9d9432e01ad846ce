"""The page on scale, docs/scale.md: bytes, requests, hours and money of studies as large as the paper's and larger, from the last run of `benchmarks.scale`.

python -m benchmarks.scale_page [--images-per-second 1000] [--gpu-hour 2.00] … [--print]

Measured rates come from the history alone. What cannot be measured here, as a GPU's rate and prices, are options; with others than the
defaults, the page is printed and not written.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, fields
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.history import newest, read
from benchmarks.lakes.imagenet import FIT_ROWS, FRAGMENT_ROWS, ID_ROWS, NINCO_ROWS, UNIT_TEST_ROWS
from benchmarks.page import markdown
from benchmarks.scale import FEW_DETECTORS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.history import Run
    from benchmarks.record import Cell

PAGE = Path(__file__).parents[1] / "docs" / "scale.md"
ROWS = {"train": FIT_ROWS, "val": ID_ROWS, "ninco": NINCO_ROWS, "unit-tests": UNIT_TEST_ROWS}
MODELS = (296, 10_000)
CLUSTERS = (1, 8, 16, 32, 64)
DETECTORS = 42
HOUR = 3600.0
_YOURS = "your price here"


@dataclass(frozen=True, slots=True)
class Inputs:
    """What is not measured here; each is an option of the same name."""

    images_per_second: float = 1000.0
    together: int = 8
    cores_per_gpu: int = 16
    cores: int = 32
    gpu_hour: float = 2.00
    core_hour: float = 0.04
    gb_month: float = 0.023
    thousand_puts: float = 0.005
    thousand_gets: float = 0.0004


SOURCES = {
    "images_per_second": "images/s of one GPU through a ViT-B/16 at 224 pixels; assumed: `python -m benchmarks.extract_device` measures yours",
    "together": "models that share one pass over the images, as far as the GPU's memory holds them; assumed",
    "cores_per_gpu": "cores that decode for each GPU; assumed",
    "cores": "cores of the machine that scores; assumed",
    "gpu_hour": f"US$ an hour of a GPU; assumed, {_YOURS}",
    "core_hour": f"US$ an hour of a core; assumed, {_YOURS}",
    "gb_month": f"US$ for a GB and month in a bucket; the order of S3 Standard's list price, {_YOURS}",
    "thousand_puts": f"US$ for 1,000 PUT and LIST requests; the order of S3 Standard's list price, {_YOURS}",
    "thousand_gets": f"US$ for 1,000 GET requests; the order of S3 Standard's list price, {_YOURS}",
}
"""What each is, and where its default comes from."""


@dataclass(frozen=True, slots=True)
class Rates:
    """What one run measured.

    Attributes:
        row: Bytes of a row of activations by what is stored of it.
        score: Bytes of a row of scores of one detector.
        rest: Bytes that else are stored of a model.
        decoding: Core-seconds of an image.
        fit: Core-seconds of a fit row, for all detectors.
        judged: Core-seconds of a judged row, for all detectors.
        model: Core-seconds of a model beside its rows.
        writing: Requests (puts, gets, lists) for one model's activations: in all, and those of each fragment beyond the fewest.
        scoring: The same of scoring it.
        counted: Fragments of the model of which requests were counted.
    """

    row: dict[str, float]
    score: float
    rest: float
    decoding: float
    fit: float
    judged: float
    model: float
    writing: tuple[dict[str, float], dict[str, float]]
    scoring: tuple[dict[str, float], dict[str, float]]
    counted: int


def rates(run: Run) -> Rates:
    """The rates that a run measured."""
    cells = [cell for table in run.tables for cell in table.cells]

    def value(row: str, column: str = "time") -> float:
        return _cell(cells, row, column).median

    def requests(first: str) -> tuple[dict[str, float], dict[str, float]]:
        fewer, more = sorted({cell.row for cell in cells if cell.row.startswith(first)})
        whole = {kind: value(fewer, kind) for kind in ("put", "get", "list")}
        return whole, {kind: max(0, value(more, kind) - count) for kind, count in whole.items()}

    kinds = [f"{dtype}, {what}" for dtype in ("float32", "float16") for what in ("features and logits", "features")]
    written = (cell.row for cell in cells if cell.row.startswith("writing"))
    counted = min(int(row.split(", ")[1].split()[0]) for row in written)
    return Rates(
        {kind: value(kind, "size") for kind in kinds},
        value("a row of scores of one detector", "size"),
        value("a model: statistics, metrics and what follows", "size") * 1e6,
        value("a JPEG of 500 x 375, decoded and resized, one core") / 1e3,
        value("a fit row") / 1e3,
        value("a judged row") / 1e3,
        value("a model"),
        requests("writing"),
        requests("scoring it"),
        counted,
    )


def _cell(cells: Sequence[Cell], row: str, column: str) -> Cell:
    return next(cell for cell in cells if (cell.row, cell.column) == (row, column))


JUDGED = sum(count for name, count in ROWS.items() if name != "train")
FRAGMENTS = sum(ceil(count / FRAGMENT_ROWS) for count in ROWS.values())


def storage_table(known: Rates, inputs: Inputs) -> list[list[str]]:
    """Bytes of a lake, and what they cost a month in a bucket."""
    grid = [["models", "stored of activations", "activations", "scores", "the rest", "a month in a bucket"]]
    ways = {
        "float32, logits of all": ("float32, features and logits", "float32, features and logits"),
        "float32, `--logits derived`": ("float32, features", "float32, features and logits"),
        "float16, `--logits derived`": ("float16, features", "float16, features and logits"),
    }
    for models in MODELS:
        scores = models * JUDGED * DETECTORS * known.score
        for name, (train, others) in ways.items():
            size = models * (ROWS["train"] * known.row[train] + JUDGED * known.row[others])
            cost = (size + scores + models * known.rest) / 1e9 * inputs.gb_month
            row = [f"{models:,}", name, *map(_bytes, (size, scores, models * known.rest)), _money(cost)]
            grid.append(row)
    return grid


def extraction_table(known: Rates, inputs: Inputs) -> list[list[str]]:
    """Hours of GPUs, which compute while cores decode, and what they cost."""
    grid = [["models", "GPUs", "GPUs compute", "cores decode", "the job", "GPUs cost"]]
    for models in MODELS:
        for gpus in CLUSTERS:
            of_one = ceil(models / gpus)
            computing = of_one * sum(ROWS.values()) / inputs.images_per_second
            decoding = ceil(of_one / inputs.together) * sum(ROWS.values()) * known.decoding
            parts = computing, decoding / inputs.cores_per_gpu
            cost = max(parts) * gpus / HOUR * inputs.gpu_hour
            grid.append([f"{models:,}", f"{gpus}", *map(_hours, (*parts, max(parts))), _money(cost)])
    return grid


def scoring_table(known: Rates, inputs: Inputs) -> list[list[str]]:
    """Hours of cores, on one machine and on those of a Ray cluster."""
    grid = [
        [
            "models",
            "core-hours",
            f"one machine, {inputs.cores} cores",
            *(f"Ray, {n} x {inputs.cores_per_gpu} cores" for n in CLUSTERS[1:]),
            "cores cost",
        ]
    ]
    for models in MODELS:
        of_one = ROWS["train"] * known.fit + JUDGED * known.judged + known.model
        cores = [inputs.cores, *(gpus * inputs.cores_per_gpu for gpus in CLUSTERS[1:])]
        times = [_hours(ceil(models / count) * of_one) for count in cores]
        hours = models * of_one / HOUR
        grid.append([f"{models:,}", f"{hours:,.0f}", *times, _money(hours * inputs.core_hour)])
    return grid


def requests_table(known: Rates, inputs: Inputs) -> list[list[str]]:
    """What a bucket is asked, and what that costs."""
    grid = [["models", "", "PUT", "GET", "LIST", "cost"]]
    for models in MODELS:
        for name, (whole, each) in (("activations written", known.writing), ("scored", known.scoring)):
            more = FRAGMENTS - known.counted
            more_scores = {"put": (DETECTORS - FEW_DETECTORS) * (len(ROWS) - 1)} if name == "scored" else {}
            asked = {kind: models * (n + more * each[kind] + more_scores.get(kind, 0)) for kind, n in whole.items()}
            cost = (asked["put"] + asked["list"]) / 1e3 * inputs.thousand_puts + asked[
                "get"
            ] / 1e3 * inputs.thousand_gets
            grid.append(
                [f"{models:,}", name, *(f"{asked[kind]:,.0f}" for kind in ("put", "get", "list")), _money(cost)]
            )
    return grid


def _bytes(count: float) -> str:
    for unit, size in (("TB", 1e12), ("GB", 1e9)):
        if count >= size:
            return f"{count / size:,.1f} {unit}"
    return f"{count / 1e6:,.0f} MB"


def _hours(seconds: float) -> str:
    hours = seconds / HOUR
    return f"{hours / 24:,.1f} days" if hours >= 48 else f"{hours:,.1f} h" if hours >= 1 else f"{seconds / 60:,.0f} min"


def _money(dollars: float) -> str:
    return f"{dollars:,.0f} $" if dollars >= 10 else f"{dollars:,.2f} $"


_INTRO = """\
# Scale

What a study takes: 296 models, as the paper has, and 10,000, each on ImageNet's train ({train:,} images) and val ({val:,}), NINCO ({ninco:,}) and 17 kinds
of unit-tests ({tests:,}), with all {detectors} usual detectors. `python -m benchmarks.scale_page` computes this page of rates that
[`benchmarks.scale`](benchmarks.md#lakes-of-thousands-of-models) measured, and of inputs, which are options of it: give your own.

**Measured** on {machine} on {date} ({commit}), while others kept {others:.1f} cores busy: a row of activations of 768 features is {row:,.0f} B in float32 with 1,000 logits and {features:,.0f} B without, a row of
scores {score:.1f} B for each detector, what else is stored of a model {rest:.0f} MB; an image is decoded and resized in {decoding:.1f} ms of a core; all detectors
learn of a fit row in {fit:.2f} ms, and judge a row in {judged:.2f} ms, of a core, with {model:.0f} s for each model beside.

**Not measured here**, with their defaults:
"""
_STORED = """\
## Bytes

Fragments as they are stored; a month in a bucket is of all of them."""
_EXTRACTED = """\
## Extraction

Models are dealt to GPUs, by Ray where these are of several machines. On each, one pass over the images serves up to {together} models; a job takes as long as the slower of its two
sides, which work at the same time."""
_SCORED = """\
## Fitting and scoring

Models are dealt to cores, each of which has one at a time."""
_ASKED = """\
## Requests to a bucket

Counted at a model of {counted} fragments, and for each fragment more; a model on ImageNet has {fragments}. Activations are counted as read where they lie, and nothing as kept on the machine
that scores. Scoring was counted with {few} detectors; each other one is taken for a PUT more of each dataset."""


def page(runs: Sequence[Run], inputs: Inputs = Inputs()) -> str:  # it cannot change
    """The whole page, as Markdown."""
    run = newest(runs).get("scale")
    if run is None:
        return (
            "# Scale\n\n`python -m benchmarks.scale` has not been recorded yet, of whose rates this page is computed.\n"
        )
    known = rates(run)
    words = _INTRO.format(
        train=ROWS["train"], val=ROWS["val"], ninco=ROWS["ninco"], tests=ROWS["unit-tests"], detectors=DETECTORS,
        machine=run.machine, date=run.date[:10], commit=run.commit, others=run.others, row=known.row["float32, features and logits"],
        features=known.row["float32, features"], score=known.score, rest=known.rest / 1e6, decoding=known.decoding * 1e3,
        fit=known.fit * 1e3, judged=known.judged * 1e3, model=known.model,
    )  # fmt: skip
    given = [["option", "value", "what it is"]]
    given += [
        [f"`--{f.name.replace('_', '-')}`", f"{getattr(inputs, f.name):,g}", SOURCES[f.name]] for f in fields(inputs)
    ]
    sections = (
        (_STORED, storage_table(known, inputs)),
        (_EXTRACTED.format(together=inputs.together), extraction_table(known, inputs)),
        (_SCORED, scoring_table(known, inputs)),
        (_ASKED.format(counted=known.counted, fragments=FRAGMENTS, few=FEW_DETECTORS), requests_table(known, inputs)),
    )
    told = [line for text, grid in sections for line in (text, "", markdown(grid), "")]
    return "\n".join([words, markdown(given), "", *told]).rstrip() + "\n"


def main() -> None:
    """Write the page, or print it if it is of other inputs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for one in fields(Inputs):
        kind = type(one.default)
        parser.add_argument(f"--{one.name.replace('_', '-')}", type=kind, default=one.default, help=SOURCES[one.name])
    inputs = Inputs(**vars(parser.parse_args()))
    text = page(read(), inputs)
    if inputs == Inputs():
        PAGE.write_text(text, encoding="utf-8")
        print(f"{PAGE} is written")
    else:
        print(text)


if __name__ == "__main__":
    main()
