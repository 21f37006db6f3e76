"""The Redis cache of balances: it may say no sooner than Postgres, never yes in its place."""
