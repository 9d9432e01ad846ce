"""Images: from bytes to what a network is fed.

`extract.images.loader` and `extract.images.preprocessing` are imported on their own, because they need torch.
"""

from extract.images.decoding import read_rgb
from extract.images.pictures import image_opener

__all__ = [
    "image_opener",
    "read_rgb",
]
