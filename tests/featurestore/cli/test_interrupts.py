"""Ctrl-C ends a command with one line and exit code 130, whatever a library makes of it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from featurestore.cli.interrupts import is_interrupt
from featurestore.errors import InputError

SWALLOWED = """
import time
from featurestore.cli import interrupts
interrupts._PATIENCE = 0.1
with interrupts.heeded():
    for line in ("ready", *[""] * 9):
        try:
            print(line, end="\\n" if line else "", flush=True)
            time.sleep(60)
        except KeyboardInterrupt:
            pass
"""
HEARD = """
import sys, time
from featurestore.cli import app
def wait() -> None:
    print("ready", flush=True)
    time.sleep(60)
app.COMMANDS._makers["status"] = wait
sys.argv = ["featurestore", "status"]
app.main()
"""
BECAME_ANOTHER = HEARD.replace(
    "    time.sleep(60)",
    "    try: time.sleep(60)\n    except KeyboardInterrupt: pass\n    raise AttributeError('half imported')",
)
LINGERS = HEARD.replace(
    "app.main()",
    "import atexit\nfrom featurestore.cli import interrupts\ninterrupts._PATIENCE = 0.1\natexit.register(time.sleep, 60)\napp.main()",
)


@pytest.mark.parametrize("script", [SWALLOWED, HEARD, BECAME_ANOTHER, LINGERS])
def test_it_ends_with_a_line_once(script: str) -> None:
    """Also where a callback of a library swallows what Python raises, or an import that it cut short fails otherwise; also where it takes long to end."""
    root = Path(__file__).parents[3]
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=root
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (130, "Interrupted; run the same command again to go on.\n")


def test_duckdb_s_own_error_of_it_is_known() -> None:
    """Its reader wraps it, and so may the lake's own errors."""
    wrapped = InputError("DuckDB cannot run the query")
    wrapped.__cause__ = duckdb.InterruptException("INTERRUPT Error: Interrupted!")
    assert is_interrupt(wrapped)
    assert is_interrupt(RuntimeError("Query interrupted"))
    assert not is_interrupt(InputError("x"))
