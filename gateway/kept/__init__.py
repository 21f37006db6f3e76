"""Answers that are kept beyond their call: where, for whom, and what may be asked of them."""
