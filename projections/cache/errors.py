"""Why the cache gave no answer, as one tree; whoever asked then leaves the decision to Postgres.

CacheUnavailable         no connection, no reply in time, or a server that is not able to serve
└── CommandRefused       the server works and refused this one command (a key edited by hand, ...)
"""


class CacheUnavailable(Exception):
    """There is no answer from Redis: unreachable, late, loading, out of memory, read-only."""


class CommandRefused(CacheUnavailable):
    """One command was refused by a server that works: no reason to stop asking it other things."""
