"""Results on a page."""
