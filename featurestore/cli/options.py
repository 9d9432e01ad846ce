"""What several commands share: options, options whose value may be left out, and what is said of an answer's age."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from typer.core import TyperCommand

from featurestore.cli.output import entered, left, say_aside
from featurestore.errors import ConflictError, LakeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from featurestore.lake import Lake
    from featurestore.verbs import VerbLake

AnyLake = TypeVar("AnyLake", bound="Lake")
FORMATS = ("table", "csv", "spreadsheet", "json", "markdown", "latex", "parquet")


def lake_at(location: str | None) -> Lake:
    """The lake there, imported when it is needed: help is printed without."""
    from featurestore.lake import Lake

    return _remarked(Lake(location))


def lake_with_verbs(location: str | None) -> VerbLake:
    """The same with what the commands do."""
    from featurestore.verbs import VerbLake

    return _remarked(VerbLake(location))


def _remarked(lake: AnyLake) -> AnyLake:
    if lake.storage.remark:
        say_aside(f"Note: {lake.storage.remark}")
    return lake


def _held(table: str) -> Callable[[typer.Context, str], list[str]]:
    """What completes the names of a lake's models or datasets."""

    def complete(context: typer.Context, incomplete: str) -> list[str]:
        try:
            held = lake_at(context.params.get("lake")).partitions(f"{table}s")
        except LakeError:
            return []
        return [manifest.key[table] for manifest in held if manifest.key[table].startswith(incomplete)]

    return complete


complete_models = _held("model")


def complete_question(incomplete: str) -> list[str]:
    """The questions of the package that begin so."""
    from featurestore.query import catalog

    return [name for name in catalog.questions() if name.startswith(incomplete)]


def _complete_format(incomplete: str) -> list[str]:
    return [name for name in FORMATS if name.startswith(incomplete)]


LakeOption = Annotated[
    str | None, typer.Option("--lake", help="Folder or URL of the lake. [default: $FEATURESTORE_LAKE or ./lake]")
]
FormatOption = Annotated[
    str,
    typer.Option("--format", help=f"{', '.join(FORMATS[:-1])} or {FORMATS[-1]}.", autocompletion=_complete_format),
]
ReplaceOption = Annotated[bool, typer.Option("--replace", help="Swap what the lake holds under the same name.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
ModelsOption = Annotated[
    list[str] | None, typer.Option("--model", help="Only these models.", autocompletion=complete_models)
]
DatasetsOption = Annotated[
    list[str] | None, typer.Option("--dataset", help="Only these datasets.", autocompletion=_held("dataset"))
]
StrictOption = Annotated[
    bool, typer.Option("--strict", help="Refuse where what is read is stale, mixed or partial, instead of saying so.")
]
SOME_FAILED = 3
"""The exit code of a command that is done, but for some samples or models."""


def ray_option(verb: str) -> Any:
    """The option `--ray`, or `--ray ADDRESS`, of a command of the kind `optional_value("--ray")`.

    Args:
        verb: What the command does there.
    """
    where = "that at ADDRESS, else at $RAY_ADDRESS, else a local one, started if need be."
    return typer.Option("--ray", metavar="[ADDRESS]", help=f"{verb} on a Ray cluster: {where}")


class Command(TyperCommand):
    """A command whose beginning and end its output knows of."""

    def invoke(self, ctx: Any) -> Any:
        """Run it."""
        words: list[str] = []
        above = ctx
        while above.parent is not None:
            words.insert(0, above.info_name)
            above = above.parent
        entered(" ".join(words))
        try:
            return super().invoke(ctx)
        finally:
            left()


def optional_value(option: str) -> type[Command]:
    """A kind of command for which `option` alone means `option` with an empty text: typer has no such thing.

    Args:
        option: With its dashes; the command declares it as a text.
    """

    class Valued(Command):
        def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
            return super().parse_args(ctx, list(with_value(option, args)))

    return Valued


def with_value(option: str, arguments: Sequence[str]) -> Iterator[str]:
    """The arguments, in which the option always has a value.

    >>> list(with_value("--ray", ["--ray", "--replace"]))
    ['--ray=', '--replace']
    >>> list(with_value("--ray", ["--ray", "head:6379"]))
    ['--ray', 'head:6379']
    """
    for argument, following in pairwise([*arguments, "--"]):
        yield f"{option}=" if argument == option and following.startswith("-") else argument


def tell_age(sentences: Sequence[str], *, strict: bool) -> None:
    """Say on standard error what an answer rests on that is stale, mixed or partial.

    Raises:
        ConflictError: There is something, and the user asked for a refusal.
    """
    if strict and sentences:
        raise ConflictError(f"Not answered, because of --strict: {' '.join(sentences)}")
    for sentence in sentences:
        say_aside(f"Note: {sentence}")
