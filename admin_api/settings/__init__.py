"""Settings of the whole installation, each with its history in the ledger."""
