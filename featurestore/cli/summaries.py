"""What the JSON object of each command holds with --json: keys that scripts may rely on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

COMMON: Mapping[str, str] = {
    "command": "the command's words",
    "exit_code": "as the process's",
    "error": "the sentence that says what failed; null if nothing did, and then the command's own keys are there",
    "remarks": "lines beside the answer, as on what is stale, left out or was inferred",
    "seconds": "wall time",
}
"""Keys of every command."""
_ROWS = {"rows": "the answer, an object for each row"}
_REFUSED = {"refused": "why models, datasets or detectors were left out, by their names"}
_EDIT = {"commits": "changes of partitions, 0 if there was nothing to do", "dry_run": "whether they were only planned"}
_CARRIED = {
    "partitions": "partitions that came",
    "fragments": "their files",
    "bytes": "the size of these",
    "there": "partitions that were there already",
    "dry_run": "whether nothing was written",
}

SUMMARIES: Mapping[str, Mapping[str, str]] = {
    "demo": {"folder": "of images, models and report", "lake": "its location"},
    "dataset add": {
        "dataset": "its name",
        "role": "its role",
        "benchmarks": "those that it is in",
        "samples": "how many",
        "classes": "how many",
        "digest": "of the list of its images",
    },
    **dict.fromkeys(("dataset list", "benchmark list", "model list", "detector list", "sql"), _ROWS),
    **dict.fromkeys(("dataset set", "dataset remove", "dataset rename"), _EDIT),
    **dict.fromkeys(("benchmark remove", "benchmark rename", "model set", "model remove", "model rename"), _EDIT),
    **dict.fromkeys(("detector remove", "detector rename"), _EDIT),
    "benchmark add": {
        "added": "datasets that came",
        "kept": "datasets that were there",
        "missing": "why sets could not be added, by their names",
    },
    "benchmark set": {"changed": "whether it was judged otherwise"},
    "unit-tests": {"folder": "the folder", "written": "images drawn", "reused": "images that were there"},
    "extract": {
        "extracted": "pairs of model and dataset that were made",
        "reused": "pairs that the lake held",
        "samples": "samples of those that were made",
        "failed": "samples that could not be read",
        "times": "seconds by stage",
        **_REFUSED,
    },
    "score": {
        "scored": "score partitions that were made",
        "reused": "those that the lake held",
        "skipped": "those that could not be made",
        **_REFUSED,
    },
    "judge": {
        **_ROWS,
        "failed": "images that could not be judged",
        "threshold": "scores of at least this are accepted",
        "threshold_interval": "where the threshold of all ID images lies, 95 %",
    },
    "ask": {**_ROWS, "file": "with --plot, in the place of rows: what was drawn"},
    "report": {"file": "the page", "figures": "how many were written beside it"},
    "status": {**_ROWS, "states": "stages that are fresh, stale and missing"},
    "verify": {
        "partitions": "partitions that were looked at",
        "fragments": "their files",
        "bytes": "the size of these",
        "unsealed": "manifests without a checksum of themselves",
        "faults": "what is wrong: partition, path, problem",
    },
    "gc": {
        "deleted": "objects that went",
        "deleted_bytes": "their size",
        "kept": "objects within the grace period",
        "kept_bytes": "their size",
        "dry_run": "whether nothing was deleted",
    },
    "cache": {
        "folder": "where it lies",
        "bytes": "how much it holds",
        "limit": "how much it may hold",
        "lakes": "bytes by location",
    },
    "catalog": {"file": "the file"},
    "copy": _CARRIED,
    "merge": _CARRIED,
    "doctor": {"findings": "what was found, by topic", "troubles": "sentences on what would stop a job"},
}
"""The keys of each command, and what they say."""
