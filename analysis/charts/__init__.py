"""Charts: the look that all share, and how they get into files and pages."""
