"""A trained θ in use: adapted to data, its fits and its predictions."""
