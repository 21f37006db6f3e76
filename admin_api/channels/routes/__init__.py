"""The routes of channels and of their types."""
