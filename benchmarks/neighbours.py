"""Exact K nearest neighbours beside faiss-cpu's IndexFlat, in one process and on the same arrays.

python -m benchmarks.neighbours [--bank 100000] [--queries 62679] [--width 768] [--k 1000] [--runs 1]

faiss-cpu is no dependency: install it beside, as with `pip install --no-deps --target FOLDER faiss-cpu`, and put that folder at the
end of PYTHONPATH.
"""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

import faiss
import numpy as np

from analysis.detectors.in_memory import fit_in_memory
from featurestore.machine import cores

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

_AT_ONCE = 4096


def unit(rows: int, width: int, seed: int) -> NDArray[np.float32]:
    """Clustered directions, as features of classes are."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).standard_normal((1000, width), np.float32)
    found = centres[rng.integers(0, 1000, rows)] + rng.standard_normal((rows, width), np.float32)
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True))


def products(bank: NDArray[np.float32], queries: NDArray[np.float32], _k: int) -> None:
    """The floor: all float32 products, thrown away."""
    for start in range(0, len(queries), _AT_ONCE):
        for other in range(0, len(bank), _AT_ONCE):
            queries[start : start + _AT_ONCE] @ bank[other : other + _AT_ONCE].T


def peer(bank: NDArray[np.float32], queries: NDArray[np.float32], k: int) -> NDArray[np.float64]:
    """Squared distances to the K-th nearest by faiss, in float32."""
    index = faiss.IndexFlatL2(bank.shape[1])
    index.add(bank)
    found = [index.search(queries[at : at + _AT_ONCE], k)[0][:, -1] for at in range(0, len(queries), _AT_ONCE)]
    return np.concatenate(found).astype(np.float64)


def ours(bank: NDArray[np.float32], queries: NDArray[np.float32], k: int) -> NDArray[np.float64]:
    """The same by the detector `knn`, measured in float64."""
    return -fit_in_memory(f"knn@k={k}", bank).score(queries)


def seconds(run: Callable[[], object], runs: int) -> tuple[float, object]:
    """The least of some runs, and what the last one gave."""
    least, given = np.inf, None
    for _ in range(runs):
        start = time.perf_counter()
        given = run()
        least = min(least, time.perf_counter() - start)
    return least, given


def main() -> None:
    """Time the three, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bank", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=62_679)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--k", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=1)
    options = parser.parse_args()
    faiss.omp_set_num_threads(cores())
    bank, queries = unit(options.bank, options.width, 1), unit(options.queries, options.width, 2)
    print(
        f"neighbours: {options.queries:,} queries against {options.bank:,} x {options.width}, K = {options.k:,}; "
        f"{cores()} threads; best of {options.runs}"
    )
    floor, _ = seconds(lambda: products(bank, queries, options.k), options.runs)
    theirs, of_theirs = seconds(lambda: peer(bank, queries, options.k), options.runs)
    mine, of_ours = seconds(lambda: ours(bank, queries, options.k), options.runs)
    print(f"  floor: float32 products   {floor:8.1f} s")
    print(f"  faiss IndexFlatL2         {theirs:8.1f} s  {theirs / floor:5.2f}x of the floor")
    print(
        f"  knn, measured in float64  {mine:8.1f} s  {mine / floor:5.2f}x of the floor, {mine / theirs:5.2f}x of faiss"
    )
    print(f"  squared distances differ by up to {np.abs(np.asarray(of_theirs) - np.asarray(of_ours)).max():.1e}")


if __name__ == "__main__":
    main()
