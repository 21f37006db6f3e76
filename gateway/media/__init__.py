"""What is in messages besides words: found, fetched within bounds, and counted as tokens."""
