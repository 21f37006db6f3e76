"""Bedrock's Converse, in which providers alone are asked; `format.py` is what the relay sees."""
