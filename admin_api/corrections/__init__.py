"""Corrections: what calls would have cost under other prices, and making it so."""
