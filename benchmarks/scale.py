"""Lakes of thousands of models: cold questions on one detector, and the rates of which [the page on scale](scale.md) is computed.

The lake has 10,000 models, 4 datasets and 35 detectors. A few models are scored in earnest; the others are these under other names, with fingerprints
and metrics of their own (see `benchmarks/lakes/multiplied.py`). The first question gathers tables outside of the lake, those after it read what was
gathered; one more model changes one file of each table. Memory is what the command's process takes at its peak, with all imports.

Rates are of one ImageNet-wide model of few rows: the processor's time of `score` with all usual detectors at three sizes, of which the share of each row
follows; the bytes of what is stored; and the requests that writing and scoring it send to a store, counted where the storage layer sends them.

python -m benchmarks.scale [--lake FOLDER] [--models 10000] [--detectors 35] [--rounds 3] [--only lake,rates]

The lake is kept under FOLDER for the next run.
"""

from __future__ import annotations

import argparse
import io
import tempfile
import time
from collections import Counter
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.detectors.registry import default_detectors
from benchmarks.lakes.imagenet import CLASSES, FRAGMENT_ROWS, ID_ROWS, NINCO_ROWS, UNIT_TEST_ROWS, WIDTH, make_lake
from benchmarks.lakes.multiplied import add_model, multiply
from benchmarks.lakes.tables import activations
from benchmarks.measure import measure, python
from benchmarks.record import Record, arguments
from featurestore.partitions.encoding import encode
from featurestore.storage.remote import ObjectStorage
from featurestore.verbs import VerbLake

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.measure import Measurement
    from benchmarks.record import Table

DETECTOR = "mahalanobis"
QUESTIONS = {
    "accuracy_vs_unit_test_fpr, one detector": ("ask", "accuracy_vs_unit_test_fpr", "--detector", DETECTOR),
    "best_detector, one detector": ("ask", "best_detector", "--detector", DETECTOR),
    "accuracy of models of in21k": ("ask", "accuracy_vs_unit_test_fpr", "--detector", DETECTOR, "--where", "pretraining = 'in21k'"),
}  # fmt: skip
COLD, MEMORY = 3.0, 1000.0
"""Seconds and megabytes that a question on one detector may take."""
WHOLE = 40
"""Models of the large lake that have the files of their scores; of the others, the manifests name them."""
REST = ("heads", "fits", "metrics", "accuracy", "calibration", "selective", "geometry")
FRAGMENTS, FEW_DETECTORS = (1, 2), 6
"""Fragments of the fit dataset, and detectors, for which requests are counted."""
FIT, JUDGED = (8_192, 24_576), (0.02, 0.06)
"""Rows of the fit dataset, and shares of the others' rows, at which scoring is timed."""
_PEAK = """
import atexit, runpy, sys
def told():
    with open("/proc/self/status") as status, open({place!r}, "w") as file:
        file.write(next(line for line in status if line.startswith("VmHWM")).split()[1])
atexit.register(told)
sys.argv = ["featurestore", *{words!r}]
runpy.run_module("featurestore", run_name="__main__", alter_sys=True)
"""


def cold(*words: str, **variables: str) -> Measurement:
    """A command in a new process: seconds, the processor's, and the memory that it takes at its peak."""
    with tempfile.NamedTemporaryFile() as file:
        run = python("-c", _PEAK.format(place=file.name, words=list(words)), **variables)
        return replace(run, megabytes=int(file.read()) / 1024)


def bench_lake(record: Record, location: Path, models: int, detectors: int, rounds: int) -> None:
    """Cold questions: the first, those after it, and after another model has come."""
    with (
        tempfile.TemporaryDirectory(dir=".") as cache,
        record.table(f"{models:,} models x 4 datasets x {detectors} detectors") as table,
    ):
        ask = partial(cold, FEATURESTORE_LAKE=str(location), FEATURESTORE_CACHE=cache)
        first, *others = QUESTIONS.items()
        table.runs(f"{first[0]}: the first time", [ask(*first[1])])
        for name, words in (first, *others):
            runs = [ask(*words) for _ in range(rounds)]
            table.add(name, [run.seconds for run in runs], most=COLD)
            table.add(name, [run.cpu for run in runs], column="processor")
            table.add(name, [run.megabytes for run in runs], column="memory", unit="MB", most=MEMORY)
        add_model(location, "one-more")
        table.runs(f"{first[0]}: after one more model", [ask(*first[1])])
        kept = sum(file.stat().st_size for file in Path(cache).rglob("*") if file.is_file())
        table.add("what is gathered", [kept / 1e6], column="size", unit="MB")


class Counted(ObjectStorage):
    """A bucket in memory, which counts what a bucket elsewhere would be asked; nothing of it is kept on this machine."""

    def __init__(self) -> None:
        super().__init__("memory:///lake")
        self._uploads, self.cache = self._remote, None
        self.requests: Counter[str] = Counter()

    def exists(self) -> bool:
        """Whether there is anything, by a listing."""
        self.requests["list"] += 1
        return super().exists()

    def get(self, key: str) -> bytes:
        """Read an object whole."""
        self.requests["get"] += 1
        return super().get(key)

    def stream(self, key: str) -> Iterator[bytes]:
        """Read an object in one request."""
        self.requests["get"] += 1
        return super().stream(key)

    def read_range(self, key: str, start: int, end: int) -> bytes:
        """Read some bytes of an object."""
        self.requests["get"] += 1
        return super().read_range(key, start, end)

    def size(self, key: str) -> int | None:
        """Ask for an object's size."""
        self.requests["get"] += 1
        return super().size(key)

    def find(self, key: str) -> Any:
        """Ask what an object is."""
        self.requests["get"] += 1
        return super().find(key)

    def put(self, key: str, data: bytes | memoryview) -> None:
        """Write an object."""
        self.requests["put"] += 1
        super().put(key, data)

    def create(self, key: str, data: bytes | memoryview) -> bool:
        """Write an object that is not there."""
        self.requests["put"] += 1
        return super().create(key, data)

    def _listed(self, prefix: str) -> Iterator[Any]:
        for number, meta in enumerate(super()._listed(prefix)):
            self.requests["list"] += number % 1000 == 0
            yield meta


def scored(folder: str, fit: int, share: float) -> Any:
    """The processor's seconds of `score` on a lake of one model, and its bytes by table."""
    location = Path(folder) / f"fit-{fit}-{share}"
    make_lake(location, fit, share)
    lake = VerbLake(location)

    def score() -> dict[str, int]:
        lake.score(say=None, progress=None)
        found = Counter[str]()
        for one in lake.storage.list(""):
            found[one.key.partition("/")[0]] += one.bytes
        return dict(found)

    return score


def bench_scoring(record: Record, folder: str) -> None:
    """What a fit row, a judged row and a model take, and what is stored of them."""
    (few, many), (part, more) = FIT, JUDGED
    sizes = [(few, part), (many, part), (few, more)]
    runs = {size: measure(scored, folder, *size) for size in sizes}
    rows = {share: sum(round(share * count) for count in (ID_ROWS, NINCO_ROWS, UNIT_TEST_ROWS)) for share in JUDGED}
    of_fit = (runs[many, part].cpu - runs[few, part].cpu) / (many - few)
    of_judged = (runs[few, more].cpu - runs[few, part].cpu) / (rows[more] - rows[part])
    fixed = max(runs[few, part].cpu - few * of_fit - rows[part] * of_judged, 0)
    detectors = len(default_detectors())
    with record.table(
        f"The processor's time of `score`: {WIDTH} features, {CLASSES:,} classes, {detectors} detectors"
    ) as table:
        for (fit, share), run in runs.items():
            table.add(f"{fit:,} fit rows, {rows[share]:,} judged", [run.cpu])
        table.add("a fit row", [of_fit * 1e3], unit="ms")
        table.add("a judged row", [of_judged * 1e3], unit="ms")
        table.add("a model", [fixed])
    fewer, larger = runs[few, part].given, runs[few, more].given
    with record.table("Bytes that scoring stores") as table:
        of_scores = (larger["scores"] - fewer["scores"]) / (rows[more] - rows[part]) / detectors
        table.add("a row of scores of one detector", [of_scores], column="size", unit="B")
        table.add(
            "a model: statistics, metrics and what follows", [sum(map(fewer.get, REST)) / 1e6], column="size", unit="MB"
        )


def bench_bytes(record: Record) -> None:
    """A row of activations as fragments hold it."""
    random, rows = np.random.default_rng(0), 4096
    vectors = (
        random.standard_normal((rows, WIDTH)).astype(np.float32),
        random.standard_normal((rows, CLASSES)).astype(np.float32),
    )
    with record.table("Bytes of a row of activations") as table:
        for dtype in ("float32", "float16"):
            stored = encode(activations(np.arange(rows), [0] * rows, *vectors, dtype))
            table.add(f"{dtype}, features and logits", [len(stored) / rows], column="size", unit="B")
            derived = encode(activations(np.arange(rows), [0] * rows, *vectors, dtype).drop_columns(["logits"]))
            table.add(f"{dtype}, features", [len(derived) / rows], column="size", unit="B")


def bench_requests(record: Record) -> None:
    """What a store is asked: to write activations of fewer and of more fragments, to score them, and to score with nothing to do."""
    detectors = [detector.name for detector in default_detectors()][:FEW_DETECTORS]
    with record.table("Requests to a store") as table:
        for fragments in FRAGMENTS:
            storage = Counted()
            lake = VerbLake(storage.location)
            vars(lake)["storage"] = storage
            make_lake(lake, fragments * FRAGMENT_ROWS, JUDGED[0])
            told(table, f"writing one model, {fragments + 3} fragments", storage)
            lake.score(detector=detectors, say=None, progress=None)
            told(table, f"scoring it, {fragments + 3} fragments, {FEW_DETECTORS} detectors", storage)
            lake.score(detector=detectors, say=None, progress=None)
            told(table, f"scoring with nothing to do, {fragments + 3} fragments", storage)


def told(table: Table, name: str, storage: Counted) -> None:
    """A row of what was asked since the last one."""
    for kind in ("put", "get", "list"):
        table.add(name, [storage.requests[kind]], column=kind, unit="")
    storage.requests.clear()


def bench_decoding(record: Record) -> None:
    """What an image of ImageNet's usual size takes until it is 224 pixels wide, on one core."""
    from PIL import Image

    random = np.random.default_rng(0)
    small = random.integers(0, 255, (24, 32, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(small).resize((500, 375), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
    count, start = 200, time.process_time()
    for _ in range(count):
        Image.open(io.BytesIO(buffer.getvalue())).convert("RGB").resize((256, 256), Image.Resampling.BILINEAR)
    with record.table("Decoding") as table:
        table.add(
            "a JPEG of 500 x 375, decoded and resized, one core",
            [1e3 * (time.process_time() - start) / count],
            unit="ms",
        )


def main() -> None:
    """Make the lake that is not there, and run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lake", type=Path)
    parser.add_argument("--models", type=int, default=10_000)
    parser.add_argument("--detectors", type=int, default=35)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="lake,rates")
    options = arguments(parser, models=12, detectors=3, rounds=1, only="lake")
    record = Record("scale", options)
    with nullcontext(options.lake) if options.lake else tempfile.TemporaryDirectory(dir=".") as folder:
        if "lake" in options.only:
            large = Path(folder) / f"models-{options.models}"
            names = [detector.name for detector in default_detectors()][: options.detectors]
            multiply(large, options.models, names, whole=WHOLE)
            bench_lake(record, large, options.models, options.detectors, options.rounds)
        if "rates" in options.only:
            bench_bytes(record)
            bench_decoding(record)
            bench_requests(record)
            with tempfile.TemporaryDirectory(dir=".") as rates:
                bench_scoring(record, rates)
    record.close()


if __name__ == "__main__":
    main()
