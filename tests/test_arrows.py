"""Which package may import which: the arrows of the house."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOF = "featurestore/cli/"
HEAVY = {"torch", "torchvision", "timm", "PIL", "safetensors"}
FORBIDDEN = {
    "featurestore": {"extract", "analysis", "tests", *HEAVY, "altair", "vl_convert", "sklearn"},
    "analysis": {"extract", "tests", *HEAVY},
    "extract": {"analysis", "tests"},
}


def imported(node: ast.AST) -> set[str]:
    """Top-level packages that the statements below a node import, wherever they stand."""
    found = set()
    for child in ast.walk(node):
        if isinstance(child, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in child.names}
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, "imports are absolute"
            found.add((child.module or "").partition(".")[0])
    return found


def modules(package: str) -> list[str]:
    return sorted(str(path.relative_to(ROOT)) for path in (ROOT / package).rglob("*.py"))


def tree(module: str) -> ast.Module:
    return ast.parse((ROOT / module).read_text(encoding="utf-8"), module)


@pytest.mark.parametrize("module", [m for package in FORBIDDEN for m in modules(package) if not m.startswith(ROOF)])
def test_no_module_imports_against_the_arrows(module: str) -> None:
    """extract and analysis know featurestore and not each other; only extract knows torch, timm and images."""
    assert not imported(tree(module)) & FORBIDDEN[module.partition("/")[0]]


def test_the_packages_are_there() -> None:
    """The test above cannot pass for want of files."""
    assert all(len(modules(package)) > 5 for package in FORBIDDEN)


@pytest.mark.parametrize("module", modules(ROOF))
def test_the_roof_opens_the_other_rooms_only_inside_functions(module: str) -> None:
    """`featurestore ask` starts without torch: commands import extract and analysis where they need them."""
    roof = tree(module)
    outside = ast.Module([s for s in roof.body if not isinstance(s, ast.FunctionDef)], [])
    assert not imported(outside) & FORBIDDEN["featurestore"]
    assert not imported(roof) & HEAVY


def test_the_roof_knows_every_room() -> None:
    """The test above cannot pass for want of imports."""
    assert set().union(*(imported(tree(module)) for module in modules(ROOF))) >= {"extract", "analysis"}


def test_sql_has_no_code() -> None:
    """What is in sql/ is data, found by its path."""
    assert modules("sql") == []
