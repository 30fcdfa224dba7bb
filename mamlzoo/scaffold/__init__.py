"""A plugin package to begin from."""
