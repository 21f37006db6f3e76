"""The exports we can read, one file each; the list is `projections.reconciliation.registry`."""
