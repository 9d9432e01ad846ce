"""Extraction jobs: what is to be done, who does it, and what they write."""
