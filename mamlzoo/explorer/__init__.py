"""A page on which a trained θ adapts to points that a person drags: the inner loop runs in the browser."""
