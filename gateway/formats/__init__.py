"""Formats, one file or folder for each, without I/O; `contract.py` says what one must do."""
