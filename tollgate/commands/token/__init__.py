"""`tollgate token`: the root operator's token."""
