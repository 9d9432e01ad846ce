"""Models: what users name, the networks that it becomes, and their heads."""
