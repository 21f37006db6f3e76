"""Usage: what calls took and what they cost, added up."""
