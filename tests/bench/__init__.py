"""The benchmark: `python -m tests.bench`. Nothing here is collected as a test."""
