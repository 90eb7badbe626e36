"""Read and write photo files at any bit depth, and find the photos that a user names."""
