"""Adjustments: money moved by hand, when two operators agree."""
