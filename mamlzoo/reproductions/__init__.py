"""Published experiments made again, and judged beside their numbers."""
