"""`featurestore ask`: list, explain, answer, draw; `featurestore sql`: an argument, a pipe, or a prompt."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from featurestore.cli.options import (
    FormatOption,
    LakeOption,
    ModelsOption,
    StrictOption,
    complete_question,
    lake_at,
    tell_age,
)
from featurestore.cli.output import answer, say, say_aside, tell, tell_rows, wants_rows
from featurestore.cli.render import check_format, fetched, show, show_frame
from featurestore.cli.rows import Rows
from featurestore.errors import InputError
from featurestore.machine import collector_paused
from featurestore.names import pick

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import polars as pl

    from featurestore.lake import Lake
    from featurestore.query import Filters, Library, SqlFile


def ask(
    question: Annotated[
        str | None,
        typer.Argument(
            help="Name of a question; none lists them. With --schema: of a view or macro.",
            autocompletion=complete_question,
        ),
    ] = None,
    param: Annotated[list[str] | None, typer.Option("--param", help="Parameter of the question, name=value.")] = None,
    metric: Annotated[
        str | None, typer.Option(help="Metric that the question shows: fpr95, auroc, aupr_in or aupr_out.")
    ] = None,
    model: ModelsOption = None,
    detector: Annotated[list[str] | None, typer.Option("--detector", help="Only these detectors.")] = None,
    where: Annotated[
        str | None, typer.Option(help="Only models and results with this condition, e.g. \"pretraining = 'in21k'\".")
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show what it answers, its parameters, columns and SQL.")
    ] = False,
    schema: Annotated[
        bool, typer.Option("--schema", help="Show views and macros, their columns and what these mean.")
    ] = False,
    questions: Annotated[
        Path | None, typer.Option(help="Folder with questions of your own; so is questions/ in the lake.")
    ] = None,
    published: Annotated[
        bool, typer.Option("--published", help="Ask published numbers alone, which need no lake.")
    ] = False,
    plot: Annotated[
        Path | None,
        typer.Option(help="Draw the answer into a file: .html, .png or .svg; without a name, QUESTION.html."),
    ] = None,
    color: Annotated[
        str | None, typer.Option(help="With --plot: the column of the answer that colours it, e.g. weight_decay.")
    ] = None,
    strict: StrictOption = False,
    format_: FormatOption = "table",
    lake: LakeOption = None,
) -> None:
    """Answer a question about all models.

    Example:
        featurestore ask best_detector --where "pretraining = 'in21k'" --format latex
    """
    from featurestore.query import Filters, read_library

    asked = None if published else lake_at(lake).for_a_job()
    if asked and lake is not None:
        asked.check_exists()
    if schema:
        _show_schema(question, format_)
        return
    if question is None:
        _list(_answerable(asked, questions))
    elif explain:
        from featurestore.cli.explain import explanation

        answer(explanation(_picked(_answerable(asked, questions), question)))
    else:
        filters = Filters(model or (), detector or (), where or "")
        draw = _drawing(Path(f"{question}.html") if plot == Path() else plot)
        parameters = _parameters(param or [])
        check_format(format_)
        # Without a lake, one that needs a lake is found too, and says what it lacks.
        found = _picked(read_library(asked.storage if asked else None, questions), question)
        if draw and found.plot is None:
            raise InputError(f"{question} has no plot: its header names none; ask for its rows without --plot.")
        if metric is not None:
            parameters["metric"] = _metric(found, metric, parameters)
        if color is not None:
            found = _coloured(found, color, is_drawn=bool(draw))
        found = _named_by(found, parameters)
        frame = _fetch(asked, found, parameters, filters, "parquet" if draw else format_, strict=strict)
        if draw:
            draw(frame, found)
        else:
            show_frame(frame, format_)


def sql(
    query: Annotated[
        str | None, typer.Argument(help="A SELECT over the views; none opens a prompt, or reads a pipe.")
    ] = None,
    strict: StrictOption = False,
    format_: FormatOption = "table",
    lake: LakeOption = None,
) -> None:
    """Run SQL over the lake.

    Example:
        featurestore sql "select model, top1 from accuracy order by top1 desc"
    """
    if query is None and _is_terminal() and not wants_rows():
        from featurestore.cli.prompt import converse

        converse(lake_at(lake), format_, strict=strict)
    else:
        _run(lake_at(lake), _piped() if query is None else query, format_, strict=strict)


def _is_terminal() -> bool:
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout))


def _piped() -> str:
    """The SQL that comes in a pipe; none where standard input is closed."""
    try:
        text = sys.stdin.read() if sys.stdin else ""
        return text.encode("utf-8", "surrogateescape").decode()
    except UnicodeError:
        raise InputError("What comes in the pipe is no SQL: it is not text in UTF-8.") from None


def _show_schema(name: str | None, format_: str) -> None:
    """Print every view and macro, or one, with its columns and their meanings."""
    from featurestore.cli.explain import schema, schema_rows

    rows = schema_rows(name)
    if format_ == "table" and not wants_rows():
        answer(schema(rows))
    else:
        import polars as pl

        show_frame(pl.DataFrame(rows), format_)


def _list(questions: Library) -> None:
    """Print all questions by topic."""
    if wants_rows():
        tell_rows([{"question": name, "title": found.title} for name, found in questions.questions.items()])
        return
    from rich.console import Console  # slow to import, and answers do without

    from featurestore.cli.explain import overview

    console = Console()
    with console.capture() as printed:
        console.print(overview(questions))
    answer(printed.get())


def _answerable(lake: Lake | None, folder: Path | None) -> Library:
    """The questions that a lake, or the published numbers alone, can answer."""
    from featurestore.query import Library, needs_no_lake, read_library

    if lake:
        return read_library(lake.storage, folder)
    found = read_library(None, folder)
    return Library({name: q for name, q in found.questions.items() if needs_no_lake(q)}, found.broken)


def _picked(library: Library, name: str) -> SqlFile:
    """The question of that name; what is passed over is said."""
    found = library.pick(name)
    for remark in library.remarks:
        say_aside(f"Note: {remark}")
    return found


def _parameters(pairs: list[str]) -> dict[str, str]:
    parsed = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
    if len(parsed) != len(pairs):
        raise InputError("--param takes name=value, each name once.")
    return parsed


def _fetch(
    lake: Lake | None, question: SqlFile, parameters: Mapping[str, str], filters: Filters, format_: str, *, strict: bool
) -> Any:
    """The rows of an answer; what was left out goes to standard error."""
    from featurestore.query import answer_to

    storage, location = None, ""
    if lake:
        lake.check_exists()
        storage, location = lake.storage, lake.location
    with collector_paused():
        answered = answer_to(storage, question, parameters, filters, location=location)
        tell_age(answered.rests_on, strict=strict)
        frame = fetched(answered.relation, format_, f"the question {question.origin}")
        is_empty = not len(frame.values if isinstance(frame, Rows) else frame)
    for note in [*answered.notes, *answered.remarks, *(answered.why_empty(location) if is_empty else ())]:
        say_aside(f"Note: {note}")
    return frame


def _metric(question: SqlFile, name: str, parameters: Mapping[str, str]) -> str:
    """The metric to ask a question for, if it shows one that can be chosen."""
    if "metric" in parameters:
        raise InputError("The metric is given twice: leave out --metric or --param metric.")
    if "metric" not in question.parameters:
        raise InputError(
            f"{question.name} does not show one metric that could be chosen: leave out --metric; `--explain` lists its columns."
        )
    return pick("metric", name, map(str, question.parameters["metric"].choices))


def _named_by(question: SqlFile, parameters: Mapping[str, str]) -> SqlFile:
    """A question whose title and columns name the metric and the OOD set that it is asked for."""
    title, columns = question.title, dict(question.columns)
    if "metric" in question.parameters:
        metric = str(parameters.get("metric", question.parameters["metric"].default))
        columns = {
            name: text.replace("The metric", metric).replace("the metric", metric) for name, text in columns.items()
        }
        title = title if metric == "fpr95" else title.replace("FPR", metric.upper())
    ood = parameters.get("ood", "ninco")
    return replace(question, title=title if ood == "ninco" else title.replace("NINCO", ood), columns=columns)


def _coloured(question: SqlFile, column: str, *, is_drawn: bool) -> SqlFile:
    """A question whose points are coloured by another column."""
    if not is_drawn or question.plot is None:
        raise InputError("--color is for a drawing: give --plot, too.")
    if question.plot.kind == "heatmap":
        raise InputError(
            f"{question.name} is drawn as a heatmap, whose cells are coloured by their value: leave out --color."
        )
    pick("column of the answer", column, question.columns)
    return replace(question, plot=replace(question.plot, channels={**question.plot.channels, "color": column}))


def _drawing(file: Path | None) -> Callable[[pl.DataFrame, SqlFile], None] | None:
    """What draws an answer into a file, if there is to be one."""
    if file is None:
        return None
    from analysis.charts.answer_plot import check_file, write_plot

    check_file(file)

    def draw(frame: pl.DataFrame, question: SqlFile) -> None:
        write_plot(frame, question, file)
        tell(file=str(file))
        say(f"{file}: {frame.height:,} rows drawn")

    return draw


def _run(lake: Lake, text: str, format_: str, *, strict: bool) -> None:
    """Run SQL that is known as a whole, with the views that it needs, and print what each statement returns."""
    from featurestore.held import Held
    from featurestore.query import statements

    check_format(format_)
    lake.check_exists()
    if not text.strip():
        raise InputError(
            'There is no SQL: give it as an argument, as in `featurestore sql "from metrics"`, or in a pipe.'
        )
    held = Held(lake.storage)
    with collector_paused():
        connection = statements.connect_for(lake.storage, text, held)
        tell_age(statements.rests_on(held, text), strict=strict)
    for relation in statements.results(connection, text, lake.location):
        show(relation, format_)
