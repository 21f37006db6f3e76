"""`tollgate request`: what holds for the whole installation."""
