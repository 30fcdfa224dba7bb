"""Results side by side, and which of them really differ."""
