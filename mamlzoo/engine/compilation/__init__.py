"""The plan `compile`: meta-steps traced, compiled, kept, and held to the numbers of `vmap`."""
