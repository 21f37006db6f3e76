"""What we can see: read models folded from the ledger, and the Redis balance cache."""
