"""Gemini's generateContent; `format.py` is what the relay sees of it."""
