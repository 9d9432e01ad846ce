"""What is fast, and proof: run by hand as `python -m benchmarks.NAME`, and in `make bench`."""
