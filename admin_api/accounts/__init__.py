"""Accounts: who pays, and what they have."""
