"""Beside pytorch-ood 0.4, in one process and on the same arrays: whether scores are ordered alike, and how long fit and score take.

python -m benchmarks.peers [--rows 50000] [--width 768] [--classes 1000] [--queries 20000] [--runs 3] [--only vim,knn,…] [--exact]

The peer computes in the precision of its arrays, we in float64 whatever the arrays are: with `--exact` both are given float64.

pytorch-ood is no dependency: install it beside, as with `pip install --no-deps --target FOLDER pytorch-ood`, and put that folder
at the end of PYTHONPATH.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from pytorch_ood import detector as peers
from scipy.stats import spearmanr

from analysis.detectors.in_memory import fit_in_memory
from analysis.rows.head import Head
from featurestore.errors import LakeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

_APART = 10.5
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


def compare(pair: Pair, arrays: Arrays, runs: int) -> str:
    """One line: agreement, ratios of time, and the reason where scores are not ordered alike."""
    best: dict[str, list[float]] = {}
    scores: dict[str, NDArray[np.float64]] = {}
    for _ in range(runs):
        for who, run in (("ours", ours), ("theirs", theirs)):
            try:
                fit, score, scores[who] = run(pair, arrays)
            except (LakeError, ValueError, RuntimeError, AssertionError, MemoryError) as error:
                return f"  {pair.named(arrays):26} {who} cannot: {type(error).__name__}: {str(error)[:120]}"
            best[who] = [min(times) for times in zip(best.get(who, [fit, score]), [fit, score], strict=True)]
    agreement = float(spearmanr(scores["ours"], scores["theirs"]).statistic)
    (fit, score), (their_fit, their_score) = best["ours"], best["theirs"]
    times = f"fit {fit:7.3f} s  {_ratio(fit, their_fit)}  score {score:7.3f} s  {_ratio(score, their_score)}"
    reason = "" if agreement > 0.99999 else pair.why or "UNEXPLAINED"
    return f"  {pair.named(arrays):26} {agreement:8.5f}  {times}  together {_ratio(fit + score, their_fit + their_score)}  {reason}"


def _ratio(mine: float, others: float) -> str:
    return f"{mine / others:7.2f}x" if others > 1e-3 else "       -"


def main() -> None:
    """Compare what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--queries", type=int, default=20_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", help="Names of ours, without constants, with commas between.")
    parser.add_argument(
        "--exact", action="store_true", help="Give both float64 arrays, so that the peer computes in float64."
    )
    options = parser.parse_args()
    arrays = made_up(options.rows, options.width, options.classes, options.queries)
    if options.exact:
        arrays = arrays.exact()
    right = (arrays.logits.argmax(axis=1) == arrays.labels).mean()
    print(
        f"peers: fit of {options.rows:,} x {options.width}, {options.classes:,} classes, {options.queries:,} scored; best of "
        f"{options.runs}; {right:.1%} of the fit rows are classified correctly; {arrays.features.dtype} arrays; "
        f"{torch.get_num_threads()} threads of torch"
    )
    print("  Spearman's rank correlation; seconds of ours, and as a multiple of the peer's")
    for warm in (ours, theirs):
        warm(PAIRS[0], arrays)
    only = set(options.only.split(",")) if options.only else None
    for pair in PAIRS:
        if only is None or pair.ours.partition("@")[0] in only:
            print(compare(pair, arrays, options.runs), flush=True)


if __name__ == "__main__":
    main()
