"""Operators: people and programs at the desk."""
