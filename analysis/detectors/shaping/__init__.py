"""Detectors that reshape features, or the head, before they compute the energy.

They presume features after a ReLU, which are not negative; those of ViTs are signed.
"""
