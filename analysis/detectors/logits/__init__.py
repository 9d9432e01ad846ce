"""Detectors that need logits alone."""
