"""Detectors that reshape or scale features, logits or the head before they compute the energy.

Most presume features after a ReLU, which are not negative, while those of ViTs are signed; LTS and OptFS do not.
"""
