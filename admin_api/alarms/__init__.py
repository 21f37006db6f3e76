"""Alarms: what of the log somebody should look at."""
