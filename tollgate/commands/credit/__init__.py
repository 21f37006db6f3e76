"""`tollgate credit`: put money on an account."""
