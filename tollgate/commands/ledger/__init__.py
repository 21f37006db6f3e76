"""What finance and auditors do with the books, one file per action; the list is `registry.py`."""
