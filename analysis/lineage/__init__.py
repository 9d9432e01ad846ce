"""Lineage: what each stored part is made from, and whether it is still that."""
