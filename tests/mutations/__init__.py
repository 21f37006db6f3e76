"""The money path, broken line by line, to see that a test notices: `python -m tests.mutations`."""
