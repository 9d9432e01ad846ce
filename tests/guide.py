"""The parts of the pages in docs/ that follow from the code; `python -m tests.guide` writes them anew."""

from __future__ import annotations

import re
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.detectors import default_detectors, detectors
from featurestore.cli.app import root
from featurestore.cli.explain import TOPICS
from featurestore.cli.summaries import COMMON, SUMMARIES
from featurestore.query import catalog
from featurestore.settings import Settings
from tests import notebook

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from analysis.detectors import Detector
    from analysis.statistics.statistic import Statistic
    from featurestore.sql_text.header import SqlFile

DOCS = Path(__file__).parent.parent / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
_BLOCK = re.compile(r"<!-- generated: ([^\n]*) -->\n.*?<!-- end -->", re.DOTALL)


def blocks() -> dict[str, str]:
    """The generated parts by name."""
    commands = {f"command {' '.join(words)}": _command(words, command) for words, command in _commands((), root())}
    return {
        **commands,
        "views": _views(),
        "macros": _macros(),
        "questions": _questions(),
        "detectors": _detectors(),
        "statistics": _statistics(),
        "settings": _settings(),
        "notebook": notebook.page(),
        "summaries": _summaries(),
    }


def names(text: str) -> list[str]:
    """The names of the generated parts that a text has room for."""
    return [match[1] for match in _BLOCK.finditer(text)]


def updated(text: str, known: Mapping[str, str]) -> str:
    """The text with its generated parts written anew; a part that is not known any more is empty."""
    return _BLOCK.sub(lambda match: f"<!-- generated: {match[1]} -->\n{known.get(match[1], '')}\n<!-- end -->", text)


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
    examples = "\n".join(re.findall(r"^ +(featurestore .*)$", command.epilog, re.MULTILINE))
    return "\n".join([*lines, *_table(("option", "meaning"), rows), "", f"```sh\n{examples}\n```"])


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
        parts += [f"## `{name}`", "", f"{view.title}.", "", *_table(("column", "meaning"), rows), ""]
    return "\n".join(parts).rstrip()


def _macros() -> str:
    parts = []
    for name, macro in catalog.macros().items():
        given = [a.name if a.default is None else f"{a.name} := {a.default}" for a in macro.arguments.values()]
        rows = [(f"`{a.name}`", a.description) for a in macro.arguments.values()]
        answer = ", ".join(f"`{column}`" for column in macro.columns)
        parts += [f"## `{name}`", "", f"`{name}({', '.join(given)})`: {macro.title}.", ""]
        parts += [*_table(("argument", "meaning"), rows), "", *([f"Columns: {answer}.", ""] * bool(answer))]
    return "\n".join(parts).rstrip()


def _questions() -> str:
    parts = []
    for topic in TOPICS:
        parts += [f"## {topic.capitalize()}", ""]
        for name, question in catalog.questions().items():
            parts += _question(name, question) if question.topic == topic else []
    return "\n".join(parts).rstrip()


def _question(name: str, question: SqlFile) -> list[str]:
    rows = [
        (f"`{p.name}`", p.type, f"`{p.default}`", "; ".join(filter(None, (p.description, p.allowed))))
        for p in question.parameters.values()
    ]
    answer = ", ".join(f"`{column}`" for column in question.columns)
    return [
        f"### `{name}`",
        "",
        question.question,
        "",
        *([f"Published finding: {question.finding}", ""] * bool(question.finding)),
        *([f"Asked because: {question.asked_because}", ""] * bool(question.asked_because)),
        *_table(("parameter", "type", "default", "meaning"), rows),
        "",
        f"Columns: {answer}.",
        "",
    ]


def _detectors() -> str:
    usual = {detector.name for detector in default_detectors()}
    return "\n".join(line for d in detectors().values() for line in _detector(d, usual=d.name in usual)).rstrip()


def _detector(detector: Detector[Any], *, usual: bool) -> list[str]:
    rows = [(f"`{one.name}`", one.default_text, one.bounds, one.meaning) for one in detector.hyperparameters]
    learns = "nothing" if detector.fitted_on == "none" else detector.fitted_on
    asked = "Scored by default" if usual else f"Asked for by `--detector {detector.name}`"
    return [
        f"### `{detector.name}`",
        "",
        f"{detector.title} ({detector.source}). {asked}; convention {detector.convention}; learns from {learns}.",
        "",
        f"```text\n{detector.formula}\n```",
        "",
        *([*_table(("constant", "default", "takes", "meaning"), rows), ""] * bool(rows)),
    ]


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


def _summaries() -> str:
    own = [(f"`{command}`", f"`{key}`", text) for command, keys in SUMMARIES.items() for key, text in keys.items()]
    return "\n".join(
        _table(("command", "key", "what it says"), [("every one", f"`{k}`", t) for k, t in COMMON.items()] + own)
    )


def _settings() -> str:
    documented = dict(re.findall(r"^ {8}(\w+): (.*)$", Settings.__doc__ or "", re.MULTILINE))
    rows = [(f"`{field.name}`", documented[field.name]) for field in fields(Settings)]
    return "\n".join(_table(("setting", "meaning"), rows))


def _table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    lines = [list(header), *(list(row) for row in rows)]
    texts = [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines]
    return [texts[0], "|" + "---|" * len(lines[0]), *texts[1:]]


if __name__ == "__main__":
    known = blocks()
    for page in PAGES:
        page.write_text(updated(page.read_text(encoding="utf-8"), known), encoding="utf-8")
