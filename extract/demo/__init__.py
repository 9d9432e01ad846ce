"""The demo: scikit-learn's digit images, a pool of small ViTs trained on them, and a tour through the commands."""

from extract.demo.tour import run_demo

__all__ = ["run_demo"]
