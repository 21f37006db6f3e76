"""The books: statements, the double entry, profit, exports, and the books replayed."""
