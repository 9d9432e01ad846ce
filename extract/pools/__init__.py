"""Pools that are shipped: published models by name, with where each is published and how it was trained."""

from extract.pools.registry import POOLS, NamedPool, named_pool

__all__ = ["POOLS", "NamedPool", "named_pool"]
