"""Reconciliation: a provider's export against what was recorded."""
