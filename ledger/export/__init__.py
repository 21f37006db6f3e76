"""The log, or a part of it, as files for other people's programs; each with a manifest."""
