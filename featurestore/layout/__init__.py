"""The lake's layout: what docs/format.md says, as values and their text; no I/O."""
