"""The demo's real data and real models: scikit-learn's digit images, and a pool of small ViTs trained on them.

`extract.demo.training` is imported on its own, because it needs torch.
"""

from extract.demo.digits import DigitFolders, write_digits
from extract.demo.recipes import POOL, Recipe

__all__ = ["POOL", "DigitFolders", "Recipe", "write_digits"]
