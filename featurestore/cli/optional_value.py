"""An option whose value may be left out, as in `--ray` and `--ray ADDRESS`: typer has no such thing."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from typer.core import TyperCommand

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def optional_value(option: str) -> type[TyperCommand]:
    """A kind of command for which `option` alone means `option` with an empty text.

    Args:
        option: With its dashes; the command declares it as a text.
    """

    class Command(TyperCommand):
        def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
            return super().parse_args(ctx, list(with_value(option, args)))

    return Command


def with_value(option: str, arguments: Sequence[str]) -> Iterator[str]:
    """The arguments, in which the option always has a value.

    >>> list(with_value("--ray", ["--ray", "--replace"]))
    ['--ray=', '--replace']
    >>> list(with_value("--ray", ["--ray", "head:6379"]))
    ['--ray', 'head:6379']
    """
    for argument, following in pairwise([*arguments, "--"]):
        yield f"{option}=" if argument == option and following.startswith("-") else argument
