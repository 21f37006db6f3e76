"""What takes longer of the books: checks, replays, exports and whole statements."""
