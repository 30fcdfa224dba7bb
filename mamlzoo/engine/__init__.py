"""How experiments are executed: data streams, networks, plans, optimising, evaluation. It knows the interfaces only."""
