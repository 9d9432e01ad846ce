"""Detectors that reshape features, or the head, before they compute the energy."""
