"""Pictures, pages and terminal output that several commands share."""
