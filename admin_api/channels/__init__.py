"""Channels: ways to providers, and the kinds of providers there are."""
