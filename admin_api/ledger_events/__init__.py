"""The log itself, for whoever replays it."""
