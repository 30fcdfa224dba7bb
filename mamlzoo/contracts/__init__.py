"""What tasks, models and algorithms are to each other: what a plugin is written against."""
