"""`tollgate operator`: people and programs at the desk."""
