"""Requests: read from clients, and written for providers."""
