"""Golden answers of the questions, worked out in plain Python and numpy from the pool's rows."""
