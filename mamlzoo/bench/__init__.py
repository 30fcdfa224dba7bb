"""How fast a combination trains, beside other libraries; each contender in a process of its own."""
