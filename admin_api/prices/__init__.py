"""Prices: what customers pay and what we pay, in books, by hand or imported."""
