"""Extraction jobs: what is to be done, who does it, and what they write."""

from extract.job.plan import Options, batches_of
from extract.job.run import run_job
from extract.job.unit import check_labels

__all__ = [
    "Options",
    "batches_of",
    "check_labels",
    "run_job",
]
