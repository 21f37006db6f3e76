"""`tollgate ledger`: check the books, rebuild what is folded from them, ask for a balance."""
