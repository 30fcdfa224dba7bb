"""Where plugins come from: entry points, files and networks of one's own; and whose fault a failure is."""
