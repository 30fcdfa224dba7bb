"""Meta-gradients checked in float64, by central differences and in closed form."""
