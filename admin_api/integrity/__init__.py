"""Proofs: what anybody may check, and receipts of one's own."""
