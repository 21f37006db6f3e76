"""Requests: one paid call."""
