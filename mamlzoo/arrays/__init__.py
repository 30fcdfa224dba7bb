"""Episodes over arrays: which rows an episode has, and tasks made of arrays of one's own."""
