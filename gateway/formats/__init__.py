"""Formats, one folder for each, without I/O; `contract.py` says what one must do."""
