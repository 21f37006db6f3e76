"""`tollgate channel`: the ways to providers."""
