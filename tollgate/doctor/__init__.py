"""What can be wrong with a machine or a database, and what to do about it."""
