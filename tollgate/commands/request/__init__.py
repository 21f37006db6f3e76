"""`tollgate request`: what was called, and what it cost."""
