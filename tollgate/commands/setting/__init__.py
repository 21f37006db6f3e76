"""`tollgate setting`: what holds for the whole installation."""
