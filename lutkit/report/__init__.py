"""Output for people: contact sheets, summaries."""
