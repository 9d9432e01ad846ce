"""The demo: scikit-learn's digit images, a pool of small ViTs trained on them, and a tour through the commands; or real networks."""

from extract.demo.real import run_real_demo
from extract.demo.tour import run_demo

__all__ = ["run_demo", "run_real_demo"]
