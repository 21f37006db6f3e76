"""Credits: money in."""
