"""Totals: what accounts and keys came to since they were made."""
