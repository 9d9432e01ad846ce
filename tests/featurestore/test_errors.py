"""What is told of the errors of libraries."""

from __future__ import annotations

import duckdb

from featurestore.errors import one_line

RAISED_INSIDE = """IO Error: Python exception: Traceback (most recent call last):
  File "obstore/store.py", line 291, in head_async
GenericError: Error performing HEAD http://store/key: 503 Service Unavailable

Debug source:
Generic { store: "S3", source: RetryError }"""


def test_of_what_python_raises_inside_duckdb_the_message_is_told() -> None:
    """Neither where it was raised, nor what a library adds for debugging."""
    wanted = "IO Error: Python exception: GenericError: Error performing HEAD http://store/key: 503 Service Unavailable"
    assert one_line(duckdb.IOException(RAISED_INSIDE)) == wanted
    assert one_line(duckdb.IOException(" ".join(RAISED_INSIDE.split()))).rstrip() == wanted
