"""Where prices come from: the catalogue of what providers ask, and ratios as operators know them;
and how two books differ.
"""
