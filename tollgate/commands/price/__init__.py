"""What models cost: one file per action; the list is `registry.py`."""
