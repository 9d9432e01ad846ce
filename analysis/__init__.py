"""The CPU stage: class statistics, detectors, metrics, scoring, and the polars studies."""
