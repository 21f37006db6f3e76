"""Holding Python's cycle collector back while millions of small objects come and go."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collection() -> Iterator[None]:
    """Hold the cycle collector back: reading the log makes many objects and no cycle, and
    to look through them again and again takes longer than what is done with them."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
