"""The streams: one file per kind, with its events, its decisions and what they do to money."""
