"""The threads of linear algebra."""

from __future__ import annotations

import json
import os
import subprocess
import sys

PROGRAM = """
import json
import numpy as np
import scipy
from threadpoolctl import threadpool_info
from analysis.algebra.blas import one_thread

with one_thread():
    scipy.linalg.eigh(np.eye(2))
    print(json.dumps([[one["filepath"], one["num_threads"]] for one in threadpool_info() if one["user_api"] == "blas"]))
"""


def test_scipy_that_was_not_loaded_before_is_kept_to_one_thread_too() -> None:
    """Its linear algebra is loaded with its first use, and is a library of its own: one that came later would use all cores."""
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    told = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True)
    libraries = json.loads(told.stdout)
    assert libraries
    assert {threads for _, threads in libraries} == {1}
