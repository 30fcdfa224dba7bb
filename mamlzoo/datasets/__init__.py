"""Published data sets: adding them from files or from where they are published."""
