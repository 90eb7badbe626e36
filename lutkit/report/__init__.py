"""What a person looks at: contact sheets, summaries."""
