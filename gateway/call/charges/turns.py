"""Whose turn it is to hold what is there."""

import asyncio
from uuid import UUID
from weakref import WeakValueDictionary


class Turns:
    """One at a time of each account's calls."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[UUID, asyncio.Lock] = WeakValueDictionary()

    def of(self, account_id: UUID) -> asyncio.Lock:
        """What the account's calls wait for; kept for as long as one does."""
        return self._locks.setdefault(account_id, asyncio.Lock())
