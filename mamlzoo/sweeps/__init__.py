"""Every combination of several values: planned, run, chosen by validation."""
