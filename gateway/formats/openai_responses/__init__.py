"""OpenAI's Responses; `format.py` is what the relay sees of it."""
