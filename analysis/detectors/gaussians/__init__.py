"""Detectors that measure how far features lie from Gaussians of the classes."""
