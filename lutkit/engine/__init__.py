"""Run tasks on processes or threads, and stop them cleanly."""
