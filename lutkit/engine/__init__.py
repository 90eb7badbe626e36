"""Where tasks run, and how they stop."""
