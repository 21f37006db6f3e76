"""Answers: read from providers, and written for clients."""
