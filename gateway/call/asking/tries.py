"""Which channel a call asks next, and with which key; within one bound of attempts and of time.

A key that failed costs the call nothing: the channel's next key is asked before another channel is.
Where the channel itself did not answer, other keys lead to the same place, so that the other
channels come first and they last. A key whose rest is over is tried by one call alone, as long as
the others have another one. No key is asked twice, nor is a channel that needs none.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple
from uuid import UUID

from gateway.channels.keys import ChannelKeys
from gateway.channels.routing import Candidate
from ledger import clock


class TryBounds(NamedTuple):
    """How often one call is sent to providers at most, and for how long after its beginning it may
    be sent once more; the last one may take what every call may.

    Sixteen: ten accounts of one vendor may all have been refused since the last call, and there are
    still some for the vendors beside it. Three minutes: a provider that says nothing is given two,
    and then another one is asked.
    """

    attempts: int = 16
    within_s: float = 180.0


class Try(NamedTuple):
    """Whom to ask; `key_id` None: a channel that needs no key."""

    candidate: Candidate
    key_id: UUID | None


class Tries:
    """Of one call: `next` as often as one has failed, and told how by `key_failed` and so on."""

    __slots__ = (
        "_again",
        "_begun_s",
        "_bounds",
        "_count",
        "_joins",
        "_keys",
        "_order",
        "_postponed",
        "_tried",
        "_unasked_at",
    )

    def __init__(
        self, order: Sequence[Candidate], keys: ChannelKeys, bounds: Callable[[], TryBounds]
    ) -> None:
        self._order = order
        self._keys = keys
        self._bounds = bounds
        self._begun_s = clock.monotonic_s()
        self._unasked_at = 0
        self._count = 0
        self._again: Candidate | None = None
        self._postponed: list[Candidate] = []
        self._joins = False
        self._tried: tuple[UUID, ...] = ()

    def next(self) -> Try | None:
        """The next one; None: it is enough, or there is no other."""
        if self._count and not self._is_allowed():
            return None
        while (candidate := self._next_candidate()) is not None:
            if not candidate.key_ids:
                self._count += 1
                return Try(candidate, None)
            key_id = self._keys.choose(candidate, self._tried, joins=self._joins)
            if key_id is not None:
                self._count += 1
                self._tried += (key_id,)
                return Try(candidate, key_id)
        return None

    def key_failed(self, candidate: Candidate) -> None:
        """It answered that it will not, or something that is no answer: another key may do."""
        self._again = candidate if candidate.key_ids else None

    def way_failed(self, candidate: Candidate) -> None:
        """Nobody answered."""
        if candidate.key_ids:
            self._postponed.append(candidate)

    def _is_allowed(self) -> bool:
        bounds = self._bounds()
        is_late = clock.monotonic_s() - self._begun_s > bounds.within_s
        if self._count >= bounds.attempts or is_late:
            return False
        # Every channel gets its turn, however many keys the ones before it have.
        if self._count + len(self._order) - self._unasked_at >= bounds.attempts:
            self._again = None
        return True

    def _next_candidate(self) -> Candidate | None:
        if self._again is not None:
            again, self._again = self._again, None
            return again
        if self._unasked_at < len(self._order):
            self._unasked_at += 1
            return self._order[self._unasked_at - 1]
        if not (self._postponed or self._joins):
            self._joins = True
            self._postponed = [candidate for candidate in self._order if candidate.key_ids]
        return self._postponed.pop(0) if self._postponed else None
