"""What is fast, and proof: one by one as `python -m benchmarks.NAME`, and all of them, with their page, in `make bench`."""
