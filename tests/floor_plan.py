"""The floor plan, read from the code: rooms, and which imports lead from one to another. `python -m tests.floor_plan` prints it."""

from __future__ import annotations

import ast
from collections import defaultdict
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("featurestore", "extract", "analysis")


@cache
def modules() -> dict[str, Path]:
    """Every module of the packages by its dotted name; a package by its `__init__`."""
    paths = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    return {dotted(path).removesuffix(".__init__"): path for path in paths}


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def tree(module: str) -> ast.Module:
    return ast.parse(modules()[module].read_text(encoding="utf-8"), module)


def room_of(module: str) -> str:
    """The folder of a module. Each file of the ground floor, which is the folder featurestore itself, is a room of its own."""
    if modules()[module].name == "__init__.py":
        return module
    folder = module.rpartition(".")[0]
    return module if folder == "featurestore" else folder


@cache
def imports() -> dict[str, frozenset[str]]:
    """The modules that each module imports, wherever the statement stands; those for types are among them."""
    return {module: frozenset(_imported(tree(module))) - {module} for module in modules()}


def arrows() -> dict[str, set[str]]:
    """The rooms that each room's files import from; a room's own files are left out, and so are faces of packages."""
    found: dict[str, set[str]] = {}
    for module, targets in imports().items():
        found.setdefault(room_of(module), set()).update(room_of(target) for target in targets)
    return {room: targets - {room} for room, targets in found.items()}


def circle(graph: dict[str, set[str]] | dict[str, frozenset[str]]) -> list[str]:
    """A circle of the graph, from a node back to itself; empty if there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def _imported(node: ast.AST) -> set[str]:
    found = set()
    for child in ast.walk(node):
        if isinstance(child, ast.Import):
            found |= {alias.name for alias in child.names}
        elif isinstance(child, ast.ImportFrom) and child.module:
            inner = {f"{child.module}.{alias.name}" for alias in child.names}
            found |= {name if name in modules() else child.module for name in inner}
    return found & modules().keys()


def main() -> None:
    """Print the floor plan as the code draws it."""
    by_room = defaultdict(list)
    for module in modules():
        by_room[room_of(module)].append(module.rpartition(".")[2])
    for room, targets in sorted(arrows().items()):
        print(f'    "{room}": "{" ".join(sorted(targets))}",  # {len(by_room[room])} files')  # noqa: T201


if __name__ == "__main__":
    main()
