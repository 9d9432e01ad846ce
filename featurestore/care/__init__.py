"""Care of a lake: whether what it holds is sound, and what can be deleted."""

from featurestore.care import garbage, verify

__all__ = ["garbage", "verify"]
