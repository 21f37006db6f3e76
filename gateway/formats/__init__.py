"""Wire formats: one file or folder for each, all without I/O; `contract.py` says what one must do."""
