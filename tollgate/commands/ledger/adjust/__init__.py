"""`tollgate ledger adjust`: money moved by hand, when two operators agree."""
