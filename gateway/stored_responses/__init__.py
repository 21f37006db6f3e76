"""Answers that clients may name again: where they are kept, and what of them is kept here."""
