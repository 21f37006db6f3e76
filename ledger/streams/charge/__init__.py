"""A charge: what one call held, what it cost, and how it ended."""
