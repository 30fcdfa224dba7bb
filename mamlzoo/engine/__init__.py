"""Meta-training and evaluation as pure functions on explicit state: data, gradients, plans, steps."""
