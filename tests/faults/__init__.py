"""Real faults for real processes: kills, signals, full and broken disks, wrong clocks, crowds, an S3 server that fails.

`python -m tests.faults` is the long form (`make faults`), `test_trials.py` the short one.
"""
