"""Meta-steps of small networks as one C++ function: task by task, so that all of a task stays in the nearest caches."""
