"""`tollgate account`: open accounts, change them and list them."""
