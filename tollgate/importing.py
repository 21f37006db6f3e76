"""Importing what is rarely needed once it is."""

import importlib


def imported(reference: str) -> object:
    """What `module:name` names; its module is imported now, if nobody did before."""
    module, _, name = reference.partition(":")
    return getattr(importlib.import_module(module), name)
