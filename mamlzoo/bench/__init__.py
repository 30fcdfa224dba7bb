"""How fast the plans are, side by side with other libraries on the same work: `mamlzoo bench`."""
