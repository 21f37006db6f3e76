"""The installation that needs nothing else: a data directory, own Postgres and own Valkey."""
