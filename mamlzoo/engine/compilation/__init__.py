"""compilation."""
