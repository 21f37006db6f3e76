"""`tollgate ledger signing-key`: who signs the checkpoints."""
