"""What `import featurestore` gives."""

from __future__ import annotations

import subprocess
import sys

import pytest

import featurestore


def test_every_name_of_the_face_is_there() -> None:
    """Also those that are imported when they are asked for, and as often as they are the same."""
    found = {name: getattr(featurestore, name) for name in featurestore.__all__}
    assert found["Lake"].__name__ == "VerbLake"
    assert found["Lake"] is featurestore.Lake
    assert set(featurestore.__all__) <= set(dir(featurestore))
    with pytest.raises(AttributeError, match="module 'featurestore' has no attribute 'Lakes'"):
        featurestore.Lakes  # noqa: B018


def test_a_star_imports_all_of_them() -> None:
    program = "from featurestore import *; print(Lake.__name__, Filters.__name__, Question.__name__, Batch.__name__)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["VerbLake", "Filters", "SqlFile", "Batch"]
