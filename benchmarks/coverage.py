"""Whether intervals cover what they say, and how often something is found where there is nothing, in simulated lakes.

python -m benchmarks.coverage [--small] [--tables none,images] [--only QUESTION,QUESTION] [--draws 200] [--kept FILE] [--record]

Rows of models, metrics, accuracy and geometry are drawn, and the questions that ship are asked of them, and the report's sentences
read; scores of images are drawn, and their metrics computed. Pools are 3 to 16 models of a factorial of augmentation, pretraining,
weight decay and finetuning rate, and the paper's 296; in brackets is the correlation of two finetunes of one checkpoint.

Numbers are percentages: of 95 % intervals that hold the truth, of which 93 to 97 are wanted, and of lakes with a false finding in one
family, of which 5 are allowed; where something holds, also of lakes with a finding. `none` stands where no interval is given, and –
where nothing can be asked. A ! stands where one of the first two is beyond what is allowed by more than two Monte Carlo errors. Of
the intervals of `best_detector` all hold at once, and may hold more often.

Two kinds of intervals are too wide, and are said to be. Those of AUROC for classes of few images that almost all are told apart: such
samples hardly vary, and only one end can miss. And those of FPR95 where ID images are few: the ends of the threshold's interval are two
of the ID scores, and of so few no two are of 95 % exactly. `best_practice` gives no interval below two degrees of freedom, as of two
checkpoints against many: it would be too wide. A verdict on a unit-test is of one test by itself: over many, the chances of a wrong
one add up. Measures of selective prediction and calibration have no intervals, and nothing is claimed of combinations of models.
Soups that share ingredients are one value together; of a single one there is no interval. All takes a core for about sixteen minutes; the
seconds of a run that went on from cells that were kept are those of the rest.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.record import Record, arguments
from benchmarks.simulated.claims import CLAIMS
from benchmarks.simulated.draws import TRUTHS
from benchmarks.simulated.report_claims import WORDINGS, report
from benchmarks.simulated.score_claims import IMAGES, SOUPS, gains, singles
from benchmarks.simulated.table_lake import TableLake
from benchmarks.simulated.tallies import MOST, Cell, percent, ranked, simulate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from benchmarks.simulated.draws import Truth

POOLS = ((3, 0.4), (5, 0.4), (8, 0.4), (16, 0.4), (16, 0.8), (296, 0.0), (296, 0.4), (296, 0.8))
"""Numbers of models, each with the correlation of finetunes of one checkpoint."""
LARGE = 296
_HEADINGS: Mapping[Truth, str] = {
    "none": "Nothing holds",
    "effects": "Ingredients and one detector have effects",
    "related": "Accuracy and one measure go with FPR",
    "confounded": "Only pretrainings differ, in all",
}


@dataclass(frozen=True, slots=True)
class Part:
    """A table.

    Attributes:
        name: Its name: what holds, images or soups.
        heading: What is above it.
        columns: Of each other column the heading, and what makes its cells, by row.
    """

    name: str
    heading: str
    columns: Mapping[str, Callable[[], dict[str, str]]]


@dataclass(slots=True)
class Kept:
    """Cells that were made, in a file of one JSON object per line.

    Attributes:
        path: The file; None to keep nothing.
        cells: By table, column and number of draws, its cells by row.
    """

    path: Path | None
    cells: dict[str, dict[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Read what is there."""
        if self.path and self.path.exists():
            for line in self.path.read_text("utf-8").splitlines():
                self.cells |= json.loads(line)

    def once(self, key: str, make: Callable[[], dict[str, str]]) -> dict[str, str]:
        """What was made, or is made now."""
        if key not in self.cells:
            start = time.process_time()
            self.cells[key] = make()
            print(f"{key}: {time.process_time() - start:.0f} s", flush=True)
            if self.path:
                with self.path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({key: self.cells[key]}) + "\n")
        return self.cells[key]


def asked(lake: TableLake, cell: Cell, questions: Sequence[str], draws: int) -> dict[str, str]:
    """The claims of questions in one pool: coverage, false findings and findings."""
    claims = [
        claim for claim in CLAIMS if cell.truth in claim.truths and (not questions or claim.question in questions)
    ]
    each = 20 if cell.models == LARGE else 50
    lakes = draws // 2 if cell.models == LARGE else draws
    tallies = simulate(lake, cell, claims, max(1, lakes // each), min(each, lakes))
    rows = {f"`{c.question}`: {c.estimate}; {c.family}": t.text for c, t in zip(claims, tallies, strict=True)}
    if cell.truth in {"none", "effects"} and (not questions or "detector_ranks" in questions):
        rows["`detector_ranks`; all pairs of detectors (Holm)"] = ranked(lake, cell, draws // 5).text
    return rows


def reported(lake: TableLake, cell: Cell, draws: int) -> dict[str, str]:
    """The sentences of reports on one pool: in how many lakes one is a false finding, and in how many one is a finding."""
    said = report(lake, cell, draws // 4 if cell.models == LARGE else draws // 2)
    if said.unknown:
        print("of no known wording:", *sorted(set(said.unknown)), sep="\n  ", flush=True)
    return {
        f"report, {wording.section}: {wording.what}": " · ".join(
            dict.fromkeys((percent(said.false[wording], 0, MOST), percent(said.found[wording])))
        )
        for wording in WORDINGS
    }


def parts(questions: Sequence[str], pools: Sequence[tuple[int, float]], draws: int) -> Iterator[Part]:
    """Every table, those of the report and of single results if no questions are named."""
    lake = TableLake()

    def of_pool(models: int, alike: float, truth: Truth) -> Callable[[], dict[str, str]]:
        cell = Cell(models, alike, truth)
        is_read = not questions and truth in {"none", "effects"}
        return lambda: asked(lake, cell, questions, draws) | (reported(lake, cell, draws) if is_read else {})

    for truth in TRUTHS:
        columns = {f"{models} ({alike:g})": of_pool(models, alike, truth) for models, alike in pools}
        yield Part(truth, _HEADINGS[truth], columns)
    if not questions:
        yield Part(
            "images",
            "Single results, of ID images and so many OOD images of so many classes",
            {f"{n:,}; {k} of {m}": lambda of=(n, k, m): singles(lake, *of, 2 * draws) for n, k, m in IMAGES},
        )
        yield Part(
            "soups",
            "Soups that gain nothing, and which of them share ingredients",
            {f"{n}, {sharing}": lambda of=(n, sharing): gains(*of, 10 * draws) for n, sharing in SOUPS},
        )


def main() -> None:
    """Simulate all, and print tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="questions, separated by commas")
    parser.add_argument("--tables", default=",".join((*TRUTHS, "images", "soups")), help="which of them")
    parser.add_argument("--draws", type=int, default=200, help="lakes of each small pool; of 296 models half as many")
    parser.add_argument("--kept", type=Path, help="where to keep what is done, to go on from there")
    options = arguments(parser, draws=20)
    if options.record and options.tables != parser.get_default("tables"):
        parser.error("--record keeps whole runs: leave --tables out")
    questions = [name for name in options.only.split(",") if name]
    pools = [pool for pool in POOLS if not options.small or pool[0] < 16]
    record, kept = Record("coverage", options), Kept(options.kept)
    for part in parts(questions, pools, options.draws):
        if part.name in options.tables.split(","):
            with record.table(part.heading) as table:
                for column, make in part.columns.items():
                    cells = kept.once(f"{part.name}, {column}, {options.draws} draws", make)
                    for row, text in cells.items():
                        table.absent(row, text, column=column)
    record.close()
    print(f"{time.process_time():.0f} s of processor")


if __name__ == "__main__":
    main()
