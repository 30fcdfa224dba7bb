"""What is run and what comes of it, as values: experiment, settings, events, checkpoint, result."""
