"""Oversight: what one person could do alone, where two are meant to agree."""
