"""Studies: polars scripts, one idea each, that return a tidy frame and a chart; `python -m analysis.studies.NAME --lake LAKE`."""
