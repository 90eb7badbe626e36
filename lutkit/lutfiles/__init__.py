"""Read and write LUT files: one module a format, and one table of all formats."""
