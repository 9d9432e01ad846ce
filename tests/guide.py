"""The parts of docs/guide.md and docs/detectors.md that follow from the code; `python -m tests.guide` writes them anew."""

from __future__ import annotations

import re
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.detectors import detectors
from featurestore.cli.app import root
from featurestore.query import catalog
from featurestore.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from analysis.detectors import Detector
    from analysis.statistics.statistic import Statistic

GUIDE = Path(__file__).parent.parent / "docs" / "guide.md"
DETECTORS = GUIDE.with_name("detectors.md")
_BLOCK = re.compile(r"<!-- generated: ([^\n]*) -->\n.*?<!-- end -->", re.DOTALL)


def blocks() -> dict[str, str]:
    """The generated parts by name."""
    commands = {f"command {' '.join(words)}": _command(words, command) for words, command in _commands((), _root())}
    return {
        **commands,
        "views": _views(),
        "macros": _macros(),
        "questions": _questions(),
        "detectors": _detectors(),
        "settings": _settings(),
    }


def detector_blocks() -> dict[str, str]:
    """The generated parts of the page on detectors."""
    return {"constants": _constants(), "statistics": _statistics()}


def names(text: str) -> list[str]:
    """The names of the generated parts that a text has room for."""
    return [match[1] for match in _BLOCK.finditer(text)]


def updated(text: str, known: Mapping[str, str] | None = None) -> str:
    """The text with its generated parts written anew; a part that is not known any more is empty."""
    known = blocks() if known is None else known
    return _BLOCK.sub(lambda match: f"<!-- generated: {match[1]} -->\n{known.get(match[1], '')}\n<!-- end -->", text)


def _root() -> Any:
    return root()


def _commands(words: tuple[str, ...], command: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    if hasattr(command, "commands"):
        for name, inner in sorted(command.commands.items()):
            yield from _commands((*words, name), inner)
    else:
        yield words, command


def _command(words: tuple[str, ...], command: Any) -> str:
    options = [p for p in command.params if p.opts[0].startswith("-")]
    arguments = [p for p in command.params if p not in options]
    usage = [p.name.upper() if p.required else f"[{p.name.upper()}]" for p in arguments]
    usage += [_value(p) for p in options if p.required]
    rows = [(f"`{_value(p)}`" if p in options else f"`{p.name.upper()}`", _help(p)) for p in command.params]
    lines = [f"```sh\nfeaturestore {' '.join([*words, *usage])}\n```", "", command.help, ""]
    return "\n".join([*lines, *_table(("option", "meaning"), rows)])


def _value(option: Any) -> str:
    value = option.metavar or option.name.strip("_").upper()
    return option.opts[0] if option.is_flag else f"{option.opts[0]} {value}"


def _help(parameter: Any) -> str:
    default = "" if parameter.default in {None, False} else f" [default: {parameter.default}]"
    return f"{parameter.help}{' [required]' if parameter.required else default}"


def _views() -> str:
    parts = []
    for name, view in catalog.views().items():
        rows = [(f"`{column}`", text) for column, text in view.columns.items()]
        parts += [f"### `{name}`", "", f"{view.title}.", "", *_table(("column", "meaning"), rows), ""]
    return "\n".join(parts).rstrip()


def _macros() -> str:
    parts = []
    for name, macro in catalog.macros().items():
        given = [a.name if a.default is None else f"{a.name} := {a.default}" for a in macro.arguments.values()]
        rows = [(f"`{a.name}`", a.description) for a in macro.arguments.values()]
        answer = ", ".join(f"`{column}`" for column in macro.columns)
        parts += [f"### `{name}`", "", f"`{name}({', '.join(given)})`: {macro.title}.", ""]
        parts += [*_table(("argument", "meaning"), rows), "", *([f"Columns: {answer}.", ""] * bool(answer))]
    return "\n".join(parts).rstrip()


def _questions() -> str:
    parts = []
    for name, question in catalog.questions().items():
        rows = [
            (f"`{p.name}`", p.type, f"`{p.default}`", "; ".join(filter(None, (p.description, p.allowed))))
            for p in question.parameters.values()
        ]
        answer = ", ".join(f"`{column}`" for column in question.columns)
        parts += [
            f"### `{name}`",
            "",
            question.question,
            *([f"Published finding: {question.finding}"] * bool(question.finding)),
            *([f"Asked because: {question.asked_because}"] * bool(question.asked_because)),
            "",
        ]
        parts += [*_table(("parameter", "type", "default", "meaning"), rows), "", f"Columns: {answer}.", ""]
    return "\n".join(parts).rstrip()


def _detectors() -> str:
    rows = [
        (f"`{d.name}`", d.title, f"`{d.formula}`", _of(d), d.fitted_on, d.convention, d.source)
        for d in detectors().values()
    ]
    header = (
        "detector",
        "in papers",
        "score; higher is more in-distribution",
        "constants",
        "learns from",
        "convention",
        "source",
    )
    return "\n".join(_table(header, rows))


def _of(detector: Detector[Any]) -> str:
    """The constants of a detector with their defaults."""
    return ", ".join(
        f"`{one.name}`" + (f" = {one.default_text}" if one.default is not None else "")
        for one in detector.hyperparameters
    )


def _constants() -> str:
    rows = [
        (f"`{d.name}`", f"`{one.name}`", one.default_text, one.bounds, one.meaning)
        for d in detectors().values()
        for one in d.hyperparameters
    ]
    return "\n".join(_table(("detector", "constant", "default", "takes", "meaning"), rows))


def _statistics() -> str:
    users: dict[str, list[str]] = {}
    found: dict[str, Statistic] = {}
    for detector in detectors().values():
        for need in detector.statistics:
            for statistic in _with_variants(need):
                found[statistic.name] = statistic
                users.setdefault(statistic.name, []).append(f"`{detector.name}`")
    rows = [
        (f"`{name}`", f"`{_file(s)}`", s.source, ", ".join(dict.fromkeys(users[name]))) for name, s in found.items()
    ]
    return "\n".join(_table(("statistic", "file in `analysis/statistics`", "of", "learnt from by"), sorted(rows)))


def _with_variants(statistic: Statistic) -> Iterator[Statistic]:
    yield statistic
    for other in (*statistic.after, *([statistic.for_unit_features] if statistic.for_unit_features else [])):
        yield from _with_variants(other)


def _file(statistic: Statistic) -> str:
    start: Any = statistic.start
    while isinstance(start, partial):
        start = start.func
    return f"{start.__module__.rpartition('.')[2]}.py"


def _settings() -> str:
    documented = dict(re.findall(r"^ {8}(\w+): (.*)$", Settings.__doc__ or "", re.MULTILINE))
    rows = [(f"`{field.name}`", documented[field.name]) for field in fields(Settings)]
    return "\n".join(_table(("setting", "meaning"), rows))


def _table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    lines = [list(header), *(list(row) for row in rows)]
    texts = [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines]
    return [texts[0], "|" + "---|" * len(lines[0]), *texts[1:]]


if __name__ == "__main__":
    GUIDE.write_text(updated(GUIDE.read_text(encoding="utf-8")), encoding="utf-8")
    DETECTORS.write_text(updated(DETECTORS.read_text(encoding="utf-8"), detector_blocks()), encoding="utf-8")
