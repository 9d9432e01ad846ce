"""Pools: which models a job is about, and published models by name, with where each is published and how it was trained."""

from extract.pools.entry import PoolEntry
from extract.pools.registry import POOLS, NamedPool, named_pool
from extract.pools.selection import ModelSelection, select

__all__ = [
    "POOLS",
    "ModelSelection",
    "NamedPool",
    "PoolEntry",
    "named_pool",
    "select",
]
