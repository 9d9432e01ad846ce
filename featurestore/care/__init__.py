"""Care of a lake: whether what it holds is sound, and what can be deleted."""
