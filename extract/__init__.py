"""The GPU stage: models, images, unit-tests and the extraction loop. The only package that imports torch or timm."""
