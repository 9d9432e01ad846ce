"""The K-th nearest neighbour, exactly, in one process with faiss-cpu's IndexFlatL2 and on the same arrays in memory.

The floor is all products in float32. faiss keeps distances in float32 and holds the bank in memory, 3.9 GB for ImageNet's train set;
ours measures in float64, and streams the bank from the lake in the one sweep that all detectors share. So faiss, which is faster where the
bank fits, was not taken.

python -m benchmarks.neighbours [--bank 100000] [--queries 4000] [--width 768] [--k 50,1000] [--rounds 3]
"""

from __future__ import annotations

import argparse
import time
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from analysis.detectors.in_memory import fit_in_memory
from benchmarks.measure import in_turns
from benchmarks.record import Record, arguments
from featurestore.machine import cores

try:
    import faiss
except ModuleNotFoundError:
    faiss = None

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


def timed(run: Callable[[], object]) -> tuple[float, object]:
    """Seconds, and what it gave."""
    start = time.perf_counter()
    given = run()
    return time.perf_counter() - start, given


def bench(record: Record, bank: NDArray[np.float32], queries: NDArray[np.float32], k: int, rounds: int) -> None:
    """The three in turns."""
    floor, theirs, mine = "floor: float32 products", "faiss IndexFlatL2", "knn, in float64, with its fit"
    runs = {floor: products, theirs: peer, mine: ours}
    works = {name: partial(timed, partial(run, bank, queries, k)) for name, run in runs.items() if faiss or run != peer}
    taken = in_turns(rounds, **works)
    with record.table(f"K = {k:,}: {len(queries):,} queries, {len(bank):,} x {bank.shape[1]} in memory") as table:
        for name, of in taken.items():
            table.add(name, [seconds for seconds, _ in of])
        table.ratio(mine, floor, column="of the floor's time")
        if not faiss:
            table.absent(theirs, "faiss-cpu is not installed: make .venv/bench.stamp")
            return
        table.ratio(theirs, floor, column="of the floor's time")
        table.ratio(mine, theirs, column="of faiss's time", most=1.3)
        apart = np.abs(np.asarray(taken[theirs][-1][1]) - np.asarray(taken[mine][-1][1])).max()
        table.text.append(f"Squared distances differ by up to {apart:.1e}.")


def main() -> None:
    """Time the three for each K."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bank", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=4_000)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--k", default="50,1000")
    parser.add_argument("--rounds", type=int, default=3)
    options = arguments(parser, bank=3_000, queries=200, width=64, rounds=2)
    record = Record("neighbours", options)
    if faiss:
        faiss.omp_set_num_threads(cores())
    bank, queries = unit(options.bank, options.width, 1), unit(options.queries, options.width, 2)
    for k in options.k.split(","):
        bench(record, bank, queries, int(k), options.rounds)
    record.close()


if __name__ == "__main__":
    main()
