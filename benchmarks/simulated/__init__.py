"""Lakes that are simulated: models of a known design, numbers with known effects, and what is claimed from them."""
