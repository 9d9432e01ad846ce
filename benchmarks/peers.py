"""Detectors that pytorch-ood has too, fitted and scored in one process on the same arrays in memory.

Times are of fit and scores together. pytorch-ood computes in the precision of its arrays, ours in float64 whatever the arrays are: so there
is a table for each precision of the arrays, and only the second compares equal precision. Where rank correlation says that scores are not
ordered alike, the last column says what the peer does otherwise. Its GMM and OpenMax do not end within minutes at the full size,
and are compared at a smaller one.

python -m benchmarks.peers [--rows 50000] [--width 768] [--classes 1000] [--queries 5000] [--rounds 3] [--only vim,knn,…] [--precision float32,float64]
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.stats import spearmanr

from analysis.detectors.in_memory import fit_in_memory
from analysis.rows.head import Head
from benchmarks.measure import in_turns
from benchmarks.record import Record, arguments
from featurestore.errors import LakeError

try:
    from pytorch_ood import detector as peers
except ModuleNotFoundError:
    peers = None

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from benchmarks.record import Table

_APART = 10.5
_ALIKE = 0.99999
SLOW, SMALLER = {"gmm", "openmax"}, (6_000, 128, 100, 2_000)
"""Detectors of the peer that are not done within minutes at the full size, and the sizes at which they are."""
BATCH = 1024
"""Rows that the peer scores at once, as from a loader."""


@dataclass(frozen=True, slots=True)
class Arrays:
    """What a made-up model says: features and logits of one float dtype, and its head."""

    features: NDArray[Any]
    labels: NDArray[np.int64]
    logits: NDArray[Any]
    queries: NDArray[Any]
    query_logits: NDArray[Any]
    head: Head

    def linear(self) -> torch.nn.Linear:
        """The head as torch has it, in the precision of the arrays."""
        layer = torch.nn.Linear(*self.head.weight.shape[::-1]).to(torch.from_numpy(self.features[:0]).dtype)
        layer.weight.data = torch.from_numpy(self.head.weight).to(layer.weight.dtype)
        layer.bias.data = torch.from_numpy(self.head.bias).to(layer.bias.dtype)
        return layer

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        """Rows, width, classes and queries."""
        return *self.features.shape, len(self.head.bias), len(self.queries)

    def exact(self) -> Arrays:
        """The same in float64."""
        wide = (array.astype(np.float64) for array in (self.features, self.logits, self.queries, self.query_logits))
        features, logits, queries, query_logits = wide
        return replace(self, features=features, logits=logits, queries=queries, query_logits=query_logits)


@dataclass(frozen=True, slots=True)
class Pair:
    """A detector that both have.

    Attributes:
        ours: Its name here, with the peer's constants.
        make: Makes the peer's, given its head.
        kind: What the peer's is fed: `features`, `logits`, or `maps`, which are features of one pixel here; `inputs` where it
            calls the head itself.
        why: Why scores are not ordered alike, where they are not.
    """

    ours: str
    make: Callable[[torch.nn.Linear], Any]
    kind: str = "features"
    why: str = ""

    def named(self, arrays: Arrays) -> str:
        """Its name here, of as many principal dimensions as the peer's."""
        return self.ours.format(dim=_principal(arrays.linear()))


def _weights(head: torch.nn.Linear) -> tuple[torch.Tensor, torch.Tensor]:
    return head.weight.detach(), head.bias.detach()


def _of_maps(head: torch.nn.Linear) -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Flatten(), head)


def _principal(head: torch.nn.Linear) -> int:
    """Principal dimensions that leave a residual."""
    return min(256, head.in_features // 2)


PAIRS = (
    Pair("msp", lambda _: peers.MaxSoftmax(None), "logits", "float32: largest probabilities of 1 tie"),
    Pair("max-logit", lambda _: peers.MaxLogit(None), "logits"),
    Pair("energy", lambda _: peers.EnergyBased(None), "logits"),
    Pair("entropy", lambda _: peers.Entropy(None), "logits", "float32: entropies near 0 tie"),
    Pair("gen", lambda _: peers.GEN(None, gamma=0.1, M=100), "logits", "float32: 1 - p of the largest is 0"),
    Pair("mcm", lambda head: peers.MCM(None, head.weight.detach()), why="cosines with W in place of logits"),
    Pair("gradnorm", lambda head: peers.GradNorm(head, lambda name: name == "weight").to("cpu"), "inputs"),
    Pair("temp-scaling", lambda _: peers.TemperatureScaling(None), "logits", "L-BFGS stops before the optimum"),
    Pair("kl-matching", lambda _: peers.KLMatching(None), "logits", "templates by true class, and that of y alone"),
    Pair(
        "openmax", lambda _: peers.OpenMax(None, tailsize=20, alpha=3), "logits", "other translation, and all samples"
    ),
    Pair("mahalanobis", lambda _: peers.Mahalanobis(None), why="adds 1e-6 I to the covariance"),
    Pair("relative-mahalanobis", lambda _: peers.RMD(None), why="adds 1e-6 I to both covariances"),
    Pair("gmm", lambda _: peers.GMM(None), why="a mixture, 1 / n_c, and 1e-6 I"),
    Pair("knn@k=50", lambda _: peers.KNN(None, k=50)),
    Pair("vim@dim={dim}", lambda head: peers.ViM(None, _principal(head), *_weights(head)), why="float32"),
    Pair("react@quantile=0.9", lambda head: peers.ReAct(None, _of_maps(head), percentile=0.9), "maps"),
    Pair("vra@low=0.01,high=0.99", lambda head: peers.VRA(None, _of_maps(head)), "maps", "quantiles of each dimension"),
    Pair("ash-s@percentile=65", lambda head: peers.ASH(None, _of_maps(head), "ash-s", 0.65), "maps"),
    Pair("ash-b@percentile=65", lambda head: peers.ASH(None, _of_maps(head), "ash-b", 0.65), "maps"),
    Pair("scale@percentile=65", lambda head: peers.SCALE(None, _of_maps(head), 0.65), "maps"),
    Pair("dice@percentile=90", lambda head: peers.DICE(None, *_weights(head), 0.9)),
    Pair("she", lambda head: peers.SHE(None, head)),
    Pair("fdbd", lambda head: peers.fDBD(None, head)),
    Pair("nci@alpha=0.0001", lambda head: peers.NCI(None, head, alpha=1e-4)),
    Pair("nnguide@share=1,k=10", lambda head: peers.NNGuide(None, head, k=10)),
    Pair("pnml", lambda head: peers.PNML(None, head), why="probabilities are cut at 1e-12"),
    Pair("lts", lambda head: peers.LTS(None, head)),
)


def made_up(rows: int, width: int, classes: int, queries: int) -> Arrays:
    """Clusters of nonnegative features, and a head that finds most of them; half of the queries lie between classes."""
    rng = np.random.default_rng(0)
    spread, noise_of = np.geomspace(1, 0.05, width), np.geomspace(0.6, 0.1, width)
    # So far apart, measured by the noise, that some samples of each class are mistaken, whatever the width.
    centres = rng.normal(size=(classes, width)) * spread * _APART / np.sqrt(2 * ((spread / noise_of) ** 2).sum())
    head = Head(4 * centres / np.linalg.norm(centres, axis=1, keepdims=True), rng.normal(size=classes) / 10)

    def seen(means: NDArray[np.float64]) -> NDArray[np.float32]:
        noise = rng.normal(size=means.shape) * noise_of
        return np.maximum(means + noise + 0.1, 0).astype(np.float32)

    def said(features: NDArray[np.float32]) -> NDArray[np.float32]:
        return (features @ head.weight.T.astype(np.float32) + head.bias.astype(np.float32)).astype(np.float32)

    # Of every class alike, so that each has a covariance.
    labels = rng.permutation(np.arange(rows) % classes)
    features = seen(centres[labels])
    asked, other = rng.integers(0, classes, (2, queries))
    near = np.arange(queries)[:, None] % 2
    query = seen(np.where(near, centres[asked], (centres[asked] + centres[other]) / 2))
    return Arrays(features, labels, said(features), query, said(query), head)


def ours(pair: Pair, arrays: Arrays) -> tuple[float, float, NDArray[np.float64]]:
    """Seconds of fit and of score, and scores."""
    start = time.perf_counter()
    fitted = fit_in_memory(pair.named(arrays), arrays.features, arrays.labels, logits=arrays.logits, head=arrays.head)
    between = time.perf_counter()
    scores = fitted.score(arrays.queries, arrays.query_logits)
    return between - start, time.perf_counter() - between, scores


@torch.no_grad()
def theirs(pair: Pair, arrays: Arrays) -> tuple[float, float, NDArray[np.float64]]:
    """The same of the peer, whose scores grow the other way."""
    fit_on, queries = (
        torch.from_numpy(part)
        for part in (
            (arrays.logits, arrays.query_logits) if pair.kind == "logits" else (arrays.features, arrays.queries)
        )
    )
    if pair.kind == "maps":
        fit_on, queries = fit_on[:, :, None, None], queries[:, :, None, None]
    suffix = {"features": "_features", "logits": "_logits", "maps": "_feature_maps", "inputs": ""}[pair.kind]
    start = time.perf_counter()
    made = pair.make(arrays.linear())
    fit = getattr(made, f"fit{suffix}", None)
    if fit and pair.kind != "inputs" and getattr(made, "requires_fit", True):
        fit(fit_on, torch.from_numpy(arrays.labels))
    between = time.perf_counter()
    score = getattr(made, f"predict{suffix}")
    scores = torch.cat([score(part).double() for part in queries.split(BATCH)])
    return between - start, time.perf_counter() - between, -scores.numpy()


def compare(table: Table, pair: Pair, arrays: Arrays, rounds: int) -> None:
    """One row: times, their ratio, agreement, and the reason where scores are not ordered alike."""
    name, scores = pair.named(arrays), {}

    def timed(who: str, run: Callable[..., Any]) -> float:
        fit, score, scores[who] = run(pair, arrays)
        return float(fit + score)

    try:
        sides = {"ours": ours, "pytorch-ood": theirs}
        taken = in_turns(rounds, **{who: partial(timed, who, run) for who, run in sides.items()})
    except (LakeError, ValueError, RuntimeError, AssertionError, MemoryError) as error:
        said = " ".join(str(error).split())[:80]
        table.absent(name, f"one of both cannot: {type(error).__name__}: {said}", column="note")
        return
    for who, seconds in taken.items():
        table.add(name, seconds, column=who)
    ratios = [one / other for one, other in zip(taken["ours"], taken["pytorch-ood"], strict=True)]
    table.add(name, ratios, column="of its time", unit="x")
    agreement = float(spearmanr(scores["ours"], scores["pytorch-ood"]).statistic)
    table.add(name, [agreement], column="rank correlation", unit="")
    if agreement <= _ALIKE:
        table.absent(name, pair.why or "unexplained", column="note")
    print(f"  {name}: {median(ratios):.2f}", flush=True)


def bench(record: Record, pairs: Sequence[Pair], arrays: Arrays, rounds: int) -> None:
    """A table of these detectors."""
    right = (arrays.logits.argmax(axis=1) == arrays.labels).mean()
    (rows, width), (queries, classes) = arrays.features.shape, arrays.query_logits.shape
    of = f"{rows:,} x {width}, {classes:,} classes, {queries:,} scored"
    with record.table(
        f"{arrays.features.dtype} arrays: {of}; {right:.0%} of the rows are classified correctly; {torch.get_num_threads()} threads"
    ) as table:
        if peers is None:
            table.absent("all", "pytorch-ood is not installed: make .venv/bench.stamp")
            return
        for warm in (ours, theirs):
            warm(PAIRS[0], arrays)
        for pair in pairs:
            compare(table, pair, arrays, rounds)


def main() -> None:
    """Compare what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--queries", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", help="Names of ours, without constants, with commas between.")
    parser.add_argument("--precision", default="float32,float64", help="of the arrays that both are given")
    options = arguments(parser, rows=1_000, width=32, classes=10, queries=200, rounds=1)
    record = Record("peers", options)
    arrays = made_up(options.rows, options.width, options.classes, options.queries)
    wanted = [pair for pair in PAIRS if not options.only or pair.ours.partition("@")[0] in options.only.split(",")]
    for precision in options.precision.split(","):
        given = arrays.exact() if precision == "float64" else arrays
        bench(record, [pair for pair in wanted if pair.ours not in SLOW], given, options.rounds)
    smaller = made_up(*(min(size, most) for size, most in zip(arrays.sizes, SMALLER, strict=True)))
    bench(record, [pair for pair in wanted if pair.ours in SLOW], smaller, options.rounds)
    record.close()


if __name__ == "__main__":
    main()
