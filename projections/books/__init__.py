"""Questions to the books: what stood where, after any position or at any time of the log."""
