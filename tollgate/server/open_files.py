"""How many files this process may have open at once: every connection is one."""

import contextlib
import resource

KEPT_FREE = 64
"""For connections to the database and the cache, and for what is opened for a moment."""
ENOUGH = 4_096


def raise_limit() -> None:
    """Let this process, and those it starts, open as many as the system allows it at most."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):  # some systems name more than they allow
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def most() -> int:
    """How many may be open now."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
