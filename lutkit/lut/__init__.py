"""What a LUT is, and what can be done with one. Pure."""
