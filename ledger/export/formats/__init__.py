"""The file formats of exports: one file each; the list is `registry.py`."""
