"""The page of the benchmarks, docs/benchmarks.md, from the newest line of each in history.jsonl.

python -m benchmarks.page

Figures come from the history alone; what is said of a benchmark is the docstring of its module. One that measures no time has no line in the history
but a file NAME_table.md, which stands on the page as it is.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.history import before, changes, newest, read

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.history import Run
    from benchmarks.record import Table

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
HEADINGS = {
    "lake": "Writing and reading a lake",
    "commands": "Cold commands",
    "remote": "A lake in a bucket",
    "extract": "Extraction",
    "decoding": "Decoding",
    "extract_device": "Extraction on a GPU",
    "detectors": "Fitting and scoring",
    "neighbours": "Nearest neighbours, beside faiss",
    "peers": "Detectors, beside pytorch-ood",
    "metrics": "Metrics, beside scikit-learn and torchmetrics",
    "precision": "What float16 changes",
    "geometry": "Geometry",
    "query": "Questions",
    "judge": "Judging one image",
    "report": "The report",
    "scale": "Lakes of thousands of models",
    "coverage": "What intervals and findings hold",
}
"""The benchmarks, in the order of the page."""
_INTRO = """\
# Benchmarks

`make bench` runs all of them and writes this page; one alone runs as `python -m benchmarks.NAME --record`, after which `python -m benchmarks.page`
writes the page. Figures of time and memory are never written by hand: all are of the last run in
`benchmarks/history.jsonl`, which has the values of every round.

A **floor** is what cannot be avoided, as the bare products or the bytes that have to be read; a **peer** is another library, in its own release
and on the same arrays. Both are measured in the same run and take turns with ours. A ratio is the median over the rounds of the two
times of one round, in brackets the least and the most; seconds are medians, for scale. Memory is what a process grows by over its imports.
"""


def page(runs: Sequence[Run]) -> str:
    """The whole page, as Markdown."""
    last = newest(runs)
    known = [last[name] for name in HEADINGS if name in last]
    sections = [_section(name, last.get(name), runs) for name in HEADINGS]
    return "\n".join([_INTRO, *_runs(known), *_machines(known), *sections]).rstrip() + "\n"


def _runs(runs: Sequence[Run]) -> list[str]:
    """When and with what each was run."""
    if not runs:
        return ["Nothing has been recorded yet.", ""]
    rows = [["run", "date", "commit", "seconds", "cores that others kept busy"]]
    rows += [
        [f"`{run.command}`", run.date[:10], run.commit, f"{run.seconds:,.0f}", f"{run.others:.1f}"] for run in runs
    ]
    return [markdown(rows), ""]


def _machines(runs: Sequence[Run]) -> list[str]:
    """The machine and the versions, said once where they are the same for all."""
    by_machine: dict[str, list[str]] = {}
    for run in runs:
        versions = ", ".join(f"{name} {version}" for name, version in run.versions.items())
        by_machine.setdefault(f"{run.machine}; {versions}", []).append(run.benchmark)
    lines = [f"- {of}" + ("" if len(by_machine) == 1 else f" ({', '.join(names)})") for of, names in by_machine.items()]
    return ["Machine and versions:", "", *lines, ""] if lines else []


def _section(name: str, run: Run | None, runs: Sequence[Run]) -> str:
    """What a benchmark is, in the words of its module, and the tables of its last run."""
    lines = [f"## {HEADINGS[name]}", "", preface(name), ""]
    told = Path(__file__).with_name(f"{name}_table.md")
    if told.exists():
        lines += [told.read_text(encoding="utf-8").strip(), ""]
    elif run is None:
        return "\n".join([*lines, f"`python -m benchmarks.{name}` has not been recorded yet.", ""])
    for table in run.tables if run else ():
        lines += [f"**{table.title}**", "", *([_table(table), ""] if table.cells else []), *table.text]
        lines += [""] if table.text else []
    then = before(run, runs) if run else None
    for title, old, new in changes(run, then) if run and then else []:
        told = f"{title}, {new.row}: {old.text} on {then.date[:10] if then else ''}, now {new.text}."
        lines += [f"- {told}", ""]
    return "\n".join(lines)


def preface(name: str) -> str:
    """The docstring of a benchmark's module, without how to call it."""
    source = Path(__file__).with_name(f"{name}.py")
    text = ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or ""
    kept = [part for part in re.split(r"\n\n", text) if not part.startswith("python -m ")]
    return "\n\n".join(kept)


def _table(table: Table) -> str:
    return markdown(table.grid())


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """A grid as a table in Markdown; its first row is the head."""
    head, *rest = [f"| {' | '.join(cell.replace('|', '∣') for cell in row)} |" for row in rows]
    return "\n".join([head, "|---" * len(rows[0]) + "|", *rest])


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(read()), encoding="utf-8")
    print(f"{PAGE} is written")


if __name__ == "__main__":
    main()
