"""Partitions: reading and writing what one manifest names."""
