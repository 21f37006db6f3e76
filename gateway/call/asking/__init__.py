"""Whom a call asks, in which order, and with what words."""
