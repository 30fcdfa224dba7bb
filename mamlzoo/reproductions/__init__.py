"""reproductions."""
