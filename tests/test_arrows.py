"""Which room may import which: the floor plan of the house, held against the code."""

from __future__ import annotations

import ast

import pytest

from tests import floor_plan
from tests.floor_plan import PACKAGES, ROOT

ROOF = "featurestore.cli"
VERBS = "featurestore.verbs"
"""What Python users hold, beside the roof."""
JUDGE = "featurestore.judge"
"""A fitted detector in use on images, which a verb gives."""
HEAVY = {"torch", "torchvision", "timm", "PIL", "safetensors"}
FORBIDDEN = {
    "featurestore": {"tests", "benchmarks", *HEAVY, "altair", "jinja2", "vl_convert", "sklearn"},
    "analysis": {"tests", "benchmarks", *HEAVY},
    "extract": {"tests", "benchmarks"},
}
"""Packages of others, and the tests, that no module of a package imports."""

LATE = {"featurestore"}
"""Faces that import some of their names when these are asked for."""

# The rooms that each room's files import from. `python -m tests.floor_plan` prints it as the code draws it: a new arrow is
# added here on purpose, or not at all.
PLAN = {
    "analysis": "",
    "analysis.algebra": "analysis.rows featurestore.errors",
    "analysis.charts": "featurestore.errors featurestore.names featurestore.query featurestore.shown_text featurestore.staging",
    "analysis.detectors": "analysis.algebra analysis.rows analysis.statistics featurestore.errors featurestore.machine featurestore.names",
    "analysis.detectors.covariances": "analysis.algebra analysis.detectors analysis.rows analysis.statistics featurestore.errors",
    "analysis.detectors.directions": "analysis.algebra analysis.detectors analysis.rows analysis.statistics featurestore.errors",
    "analysis.detectors.logits": "analysis.algebra analysis.detectors analysis.rows analysis.statistics featurestore.errors",
    "analysis.detectors.neighbours": "analysis.algebra analysis.detectors analysis.rows analysis.statistics featurestore.errors featurestore.machine",
    "analysis.detectors.shaping": "analysis.algebra analysis.detectors analysis.rows analysis.statistics featurestore.errors",
    "analysis.ensembles": "analysis.detectors analysis.lineage analysis.metrics analysis.mistakes analysis.rows featurestore.errors featurestore.lake featurestore.layout featurestore.names featurestore.partitions",
    "analysis.geometry": "analysis.algebra analysis.rows analysis.statistics featurestore.errors",
    "analysis.judging": "analysis.detectors analysis.ensembles analysis.lineage analysis.metrics analysis.rows analysis.scoring analysis.statistics featurestore.errors featurestore.lake featurestore.layout featurestore.names featurestore.partitions featurestore.staging",
    "analysis.lineage": "analysis.detectors analysis.rows analysis.statistics featurestore.errors featurestore.lake featurestore.layout featurestore.names featurestore.partitions",
    "analysis.metrics": "analysis.lineage analysis.rows featurestore.errors featurestore.fragments featurestore.lake featurestore.layout featurestore.partitions",
    "analysis.mistakes": "analysis.lineage analysis.metrics analysis.rows featurestore.errors featurestore.lake featurestore.layout featurestore.partitions",
    "analysis.report": "analysis.charts analysis.report.sections analysis.rows analysis.studies featurestore.errors featurestore.held featurestore.lake featurestore.names featurestore.query featurestore.shown_text featurestore.sql_text featurestore.staging featurestore.version",
    "analysis.report.sections": "analysis.report analysis.studies featurestore.errors featurestore.query featurestore.sql_text",
    "analysis.rows": "featurestore.errors featurestore.fragments featurestore.lake featurestore.layout featurestore.partitions",
    "analysis.scoring": "analysis.algebra analysis.detectors analysis.ensembles analysis.geometry analysis.lineage analysis.metrics analysis.mistakes analysis.rows analysis.statistics featurestore.errors featurestore.lake featurestore.layout featurestore.machine featurestore.names featurestore.partitions featurestore.progress featurestore.quantities featurestore.refusals",
    "analysis.statistics": "analysis.algebra analysis.rows featurestore.errors featurestore.machine featurestore.ray_cluster",
    "analysis.status": "analysis.detectors analysis.ensembles analysis.lineage analysis.rows featurestore.lake featurestore.layout featurestore.machine featurestore.names featurestore.partitions featurestore.quantities",
    "analysis.studies": "analysis.charts analysis.ensembles analysis.metrics featurestore.errors featurestore.lake featurestore.layout featurestore.names featurestore.query featurestore.shown_text featurestore.sql_text featurestore.staging",
    "extract": "",
    "extract.datasets": "extract.datasets.buckets extract.datasets.formats extract.datasets.labelling featurestore.dataset_format featurestore.errors featurestore.lake featurestore.layout featurestore.names featurestore.partitions",
    "extract.datasets.buckets": "extract.datasets.formats featurestore.errors featurestore.storage",
    "extract.datasets.formats": "featurestore.errors featurestore.names",
    "extract.datasets.labelling": "extract.datasets extract.datasets.formats featurestore.errors featurestore.names",
    "extract.demo": "extract.datasets extract.images extract.models featurestore.errors featurestore.lake featurestore.staging",
    "extract.images": "extract.datasets featurestore.errors featurestore.lake featurestore.machine featurestore.names",
    "extract.job": "extract.datasets extract.images extract.models extract.models.files extract.models.sources extract.predictions extract.subsets featurestore.errors featurestore.lake featurestore.layout featurestore.machine featurestore.names featurestore.partitions featurestore.progress featurestore.ray_cluster featurestore.storage",
    "extract.judging": "extract.datasets extract.datasets.formats extract.images extract.models extract.models.sources featurestore.errors featurestore.layout featurestore.partitions",
    "extract.machine": "featurestore.doctor featurestore.errors featurestore.quantities",
    "extract.models": "extract.images extract.models.files extract.models.sources featurestore.errors featurestore.layout featurestore.names featurestore.refusals featurestore.shown_text",
    "extract.models.files": "featurestore.errors featurestore.quantities featurestore.shown_text",
    "extract.models.sources": "extract.images extract.models.files featurestore.errors featurestore.names",
    "extract.pools": "extract.images extract.models extract.models.files extract.models.sources featurestore.errors featurestore.layout featurestore.names featurestore.query",
    "extract.predictions": "featurestore.lake featurestore.layout featurestore.partitions",
    "extract.soups": "extract.datasets extract.images extract.job extract.models extract.models.files extract.models.sources featurestore.errors featurestore.lake featurestore.names featurestore.staging",
    "extract.subsets": "extract.datasets featurestore.errors featurestore.fragments featurestore.lake featurestore.layout featurestore.names featurestore.partitions featurestore.query",
    "extract.suites": "extract.datasets featurestore.errors featurestore.lake featurestore.names",
    "extract.unit_tests": "extract.datasets.formats extract.images featurestore.errors featurestore.machine featurestore.progress featurestore.staging",
    "featurestore": "featurestore.errors featurestore.layout featurestore.partitions featurestore.query featurestore.verbs featurestore.version",
    "featurestore.__main__": "featurestore.cli featurestore.packages",
    "featurestore.care": "featurestore.errors featurestore.fragments featurestore.layout featurestore.partitions featurestore.progress featurestore.quantities featurestore.storage",
    "featurestore.cli": "analysis.charts analysis.detectors analysis.lineage analysis.report analysis.status extract.datasets extract.demo extract.machine extract.subsets featurestore.care featurestore.doctor featurestore.edit featurestore.errors featurestore.held featurestore.lake featurestore.layout featurestore.machine featurestore.names featurestore.packages featurestore.progress featurestore.quantities featurestore.query featurestore.settings featurestore.shown_text featurestore.storage featurestore.verbs featurestore.version",
    "featurestore.dataset_format": "",
    "featurestore.doctor": "featurestore.errors featurestore.machine featurestore.quantities featurestore.settings featurestore.storage featurestore.version",
    "featurestore.edit": "featurestore.dataset_format featurestore.errors featurestore.layout featurestore.names featurestore.partitions featurestore.progress featurestore.quantities featurestore.storage",
    "featurestore.errors": "",
    "featurestore.fragments": "featurestore.errors featurestore.layout featurestore.machine featurestore.storage",
    "featurestore.held": "featurestore.errors featurestore.fragments featurestore.layout featurestore.machine featurestore.partitions featurestore.settings featurestore.storage featurestore.version",
    "featurestore.judge": "analysis.judging extract.judging extract.models featurestore.progress",
    "featurestore.lake": "featurestore.held featurestore.overview featurestore.query featurestore.stored_lake",
    "featurestore.layout": "featurestore.errors featurestore.names featurestore.version",
    "featurestore.machine": "",
    "featurestore.names": "featurestore.errors",
    "featurestore.overview": "featurestore.layout featurestore.partitions featurestore.quantities featurestore.query featurestore.storage",
    "featurestore.packages": "featurestore.errors",
    "featurestore.partitions": "featurestore.errors featurestore.fragments featurestore.layout featurestore.machine featurestore.storage",
    "featurestore.progress": "",
    "featurestore.quantities": "featurestore.errors",
    "featurestore.query": "featurestore.errors featurestore.fragments featurestore.held featurestore.layout featurestore.names featurestore.sql_text featurestore.staging featurestore.storage featurestore.version",
    "featurestore.ray_cluster": "featurestore.errors",
    "featurestore.refusals": "featurestore.errors",
    "featurestore.settings": "featurestore.errors featurestore.names",
    "featurestore.shown_text": "",
    "featurestore.sql_text": "featurestore.errors featurestore.layout featurestore.names featurestore.storage",
    "featurestore.staging": "",
    "featurestore.storage": "featurestore.errors featurestore.machine featurestore.quantities featurestore.settings featurestore.shown_text featurestore.staging",
    "featurestore.stored_lake": "featurestore.errors featurestore.fragments featurestore.held featurestore.layout featurestore.names featurestore.partitions featurestore.settings featurestore.storage",
    "featurestore.transfer": "featurestore.edit featurestore.errors featurestore.fragments featurestore.layout featurestore.names featurestore.partitions featurestore.progress featurestore.quantities featurestore.query featurestore.settings featurestore.storage",
    "featurestore.verbs": "analysis.detectors analysis.ensembles analysis.judging analysis.lineage analysis.report analysis.scoring analysis.statistics analysis.status extract.datasets extract.images extract.job extract.models extract.pools extract.soups extract.subsets extract.suites extract.unit_tests featurestore.care featurestore.edit featurestore.errors featurestore.judge featurestore.lake featurestore.names featurestore.packages featurestore.progress featurestore.quantities featurestore.query featurestore.stored_lake featurestore.transfer",
    "featurestore.version": "",
}
LARGE = {
    "analysis.report.sections",  # one section a file
    "analysis.studies",  # one study a file
    "extract.datasets.formats",  # one format a file, and what they share
    "extract.models.sources",  # one layout of checkpoint a file, and what they share
    "featurestore.cli",  # one stage a file, and how answers are shown
}
"""Rooms of more than nine files, and why."""


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


@pytest.mark.parametrize("package", PACKAGES)
def test_only_extract_knows_torch_timm_and_images(package: str) -> None:
    names = [name for name in floor_plan.modules() if name.partition(".")[0] == package]
    assert len(names) > 20
    assert {name: found for name in names if (found := imported(floor_plan.tree(name)) & FORBIDDEN[package])} == {}


def test_the_code_is_built_as_the_floor_plan_draws_it() -> None:
    """Every arrow between rooms is drawn, and every one that is drawn is there; imports for types count."""
    drawn = {room: set(targets.split()) for room, targets in PLAN.items()}
    assert floor_plan.arrows() == drawn


def test_arrows_between_rooms_lead_downwards_only() -> None:
    """A room and the rooms in it are one floor: `datasets` knows its formats, and these its listings."""

    def outer(room: str) -> str:
        parts = room.split(".")
        return room if parts[0] == "featurestore" else ".".join(parts[:2])

    graph: dict[str, set[str]] = {}
    for room, targets in floor_plan.arrows().items():
        graph.setdefault(outer(room), set()).update(outer(target) for target in targets)
    # The package's own face shows what is in the house.
    assert floor_plan.circle({room: targets - {room} for room, targets in graph.items()}) == []


def test_no_files_import_each_other_in_a_circle() -> None:
    assert floor_plan.circle(dict(floor_plan.imports())) == []


def test_extract_and_analysis_do_not_know_each_other_and_only_the_roof_knows_both() -> None:
    for room, targets in floor_plan.arrows().items():
        others = {target.partition(".")[0] for target in targets} - {room.partition(".")[0]}
        assert others <= {"featurestore"} or room in {ROOF, VERBS, JUDGE}, room
        assert ROOF not in targets or room == "featurestore.__main__"


def test_the_roof_opens_the_other_rooms_only_inside_functions() -> None:
    """`featurestore ask` starts without torch: commands import extract and analysis where they need them."""
    found = set()
    for name in floor_plan.modules():
        if floor_plan.room_of(name) in {ROOF, VERBS}:
            tree = floor_plan.tree(name)
            outside = [s for s in tree.body if not isinstance(s, ast.FunctionDef | ast.ClassDef | ast.If)]
            assert not imported(ast.Module(outside, [])) & {"extract", "analysis", "altair"}, name
            found |= imported(tree)
    assert found >= {"extract", "analysis"}


def test_rooms_have_a_face_and_are_small() -> None:
    """A room's `__init__` is a docstring, imports and `__all__`; of more than nine files beside it a room has a reason."""
    files: dict[str, int] = {}
    for name, path in floor_plan.modules().items():
        if path.name == "__init__.py":
            body = floor_plan.tree(name).body
            assert ast.get_docstring(floor_plan.tree(name)), name
            for statement in body[1:] if name not in LATE else ():
                is_list = isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__all__"
                assert is_list or isinstance(statement, ast.ImportFrom), f"{name}, line {statement.lineno}"
        elif floor_plan.room_of(name) != name:
            files[floor_plan.room_of(name)] = files.get(floor_plan.room_of(name), 0) + 1
    assert {room for room, count in files.items() if count > 9} == set(LARGE)


def test_the_page_on_architecture_has_every_room_and_names_files_that_exist() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    folders = {path.parent for path in floor_plan.modules().values() if path.name == "__init__.py"}
    for folder in sorted(folders):
        assert f"{folder.relative_to(ROOT).as_posix()}/" in page
    named = {
        word.strip("`") for word in page.replace("`", " ` ").split() if "/" in word and word.endswith((".py", ".sql"))
    }
    assert len(named) > 10
    assert {name for name in named if not (ROOT / name).is_file()} == set()


def test_sql_has_no_code() -> None:
    """The folder sql/ is data, found by its path."""
    assert list((ROOT / "sql").rglob("*.py")) == []
