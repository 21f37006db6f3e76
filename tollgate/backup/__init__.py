"""A consistent copy of the books in one file, and the way back."""
