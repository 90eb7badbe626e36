"""LUTs, and what can be done with them: applying, judging, composing, inverting, learning. Pure."""
