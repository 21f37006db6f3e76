"""Proof that nobody rewrote the log: a Merkle tree over it, signed checkpoints, offline proofs."""
