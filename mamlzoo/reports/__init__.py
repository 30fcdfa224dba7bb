"""One HTML page from several results."""
