"""What `make test-lowest` installs: the oldest versions that `pyproject.toml` allows, and the tools that tests need, as CI has them.

`python -m tests.lowest FOLDER` writes them there for pip; `python -m tests.lowest` names the tests that are run on them. What only the GPU
stage needs is left out: `tests/without_torch.py` skips its tests.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
TOOLS = ("boto3", "hypothesis", "moto[server]", "pexpect", "pyte", "pytest", "pytest-randomly", "pytest-xdist")
TESTS = (
    "tests/featurestore/test_lake.py", "tests/featurestore/test_stored_lake.py", "tests/featurestore/test_compat.py",
    "tests/featurestore/partitions", "tests/featurestore/storage/test_local.py", "tests/featurestore/storage/test_remote.py",
    "tests/featurestore/query", "tests/featurestore/cli", "tests/featurestore/care", "tests/featurestore/transfer/test_copying.py",
    "tests/sql/test_questions.py", "tests/analysis/algebra", "tests/analysis/metrics", "tests/analysis/charts",
)  # fmt: skip
"""Those that another version of a library could fail; the others say the same of these, or nothing of libraries."""
_FREE = {
    "polars-runtime-32": "each polars has its own",
}
"""Packages that are not ours to name, and for which pip finds what fits the others."""
_BOUND = re.compile(r"(?P<name>[\w-]+)(\[[\w,]+\])?>=(?P<version>[\d.]+)")


def lowest() -> dict[str, str]:
    """The lower bounds of the core, of `analysis` and `report`, and of the library whose images tests of the CPU stage use, by package."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    images = [line for line in extras["demo"] if line.startswith("scikit-learn")]
    others = [
        line for extra in ("analysis", "report") for line in extras[extra] if not line.startswith("featurestore[")
    ]
    return dict(_lower_bound(line) for line in (*project["dependencies"], *others, *images))


def requirements() -> list[str]:
    """Lines for pip."""
    pinned = _pinned()
    tools = [f"{tool}=={pinned[tool.partition('[')[0]]}" for tool in TOOLS]
    return [*(f"{name}=={version}" for name, version in lowest().items()), *tools]


def constraints() -> list[str]:
    """CI's versions of all that the requirements bring along."""
    return [f"{name}=={version}" for name, version in _pinned().items() if name not in {*lowest(), *_FREE}]


def _pinned() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = (line.partition("==") for line in lines if not line.startswith("#"))
    return {name.lower().replace("_", "-"): version for name, _, version in pins}


def _lower_bound(requirement: str) -> tuple[str, str]:
    found = _BOUND.match(requirement)
    if found is None:
        raise ValueError(f"{requirement} has no lower bound")
    return found["name"].lower(), found["version"]


if __name__ == "__main__":
    if len(sys.argv) == 1:
        sys.stdout.write(" ".join(TESTS))
        sys.exit()
    folder = Path(sys.argv[1])
    (folder / "requirements.txt").write_text("\n".join(requirements()), encoding="utf-8")
    (folder / "constraints.txt").write_text("\n".join(constraints()), encoding="utf-8")
