"""LUT files in and out: one file a format, one table of formats."""
