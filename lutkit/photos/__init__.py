"""A photograph's bytes in and out at any depth, and where photographs are found."""
