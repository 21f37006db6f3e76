"""Anthropic's Messages; `format.py` is what the relay sees of it."""
