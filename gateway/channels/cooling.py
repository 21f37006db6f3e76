"""Keys that are left alone for a while, as this process knows it: no fact, and no event. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from gateway.channels.key_failures import cooling_s

TRIED_WITHIN_S = 30.0
"""For how long one call alone tries a key whose time is over, before another may."""
_FORGOTTEN_AFTER_S = 86_400.0
_KNOWN_MAX = 50_000


@dataclass(slots=True)
class Cooling:
    """A key that failed: until when it is left alone, by the monotonic clock, and how many times in
    a row it did. `tried_until_s`: its time is over, and a call is finding out what it says now.
    """

    since_s: float
    until_s: float
    failures: int
    reason: str
    is_fact: bool = False
    """Its state is being written to the ledger, and ends otherwise than by time."""
    tried_until_s: float = 0.0

    def is_over(self, now_s: float, *, joins: bool = False) -> bool:
        """Whether a call may ask the key; one that `joins` also while another tries it."""
        return self.until_s <= now_s and (joins or self.tried_until_s <= now_s)


class CoolingKeys:
    """By key. What is over is kept until the key works, so that its next time is longer."""

    def __init__(self) -> None:
        self._of: dict[UUID, Cooling] = {}
        self.known: Mapping[UUID, Cooling] = self._of
        """For a look that costs nothing: as long as it is empty, all keys are well."""

    def get(self, key_id: UUID) -> Cooling | None:
        """What is known of a key; None: nothing against it."""
        return self._of.get(key_id)

    def rested(self, key_ids: Iterable[UUID], now_s: float, *, joins: bool = False) -> list[UUID]:
        """Those that may be asked now."""
        of = self._of
        return [key for key in key_ids if key not in of or of[key].is_over(now_s, joins=joins)]

    def begin_trial(self, key_id: UUID, now_s: float) -> None:
        """A call asks the key: where it has failed before, others wait for what comes of it."""
        cooling = self._of.get(key_id)
        if cooling is not None:
            cooling.tried_until_s = now_s + TRIED_WITHIN_S

    def end_trial(self, key_id: UUID) -> None:
        """The key was asked, and nothing was found out about it."""
        cooling = self._of.get(key_id)
        if cooling is not None:
            cooling.tried_until_s = 0.0

    def answered(self, key_id: UUID, asked_s: float) -> bool:
        """The key works; whether that is news. Calls that were under way when it failed say nothing
        of how it is now.
        """
        cooling = self._of.get(key_id)
        if cooling is None or asked_s < cooling.until_s:
            return False
        del self._of[key_id]
        return True

    def failed(
        self, key_id: UUID, wait_s: float | None, reason: str, asked_s: float, now_s: float
    ) -> Cooling:
        """Leave the key alone, for as long as its provider says or we think. Calls that were asked
        before it was left alone count as one failure.
        """
        known = self._of.get(key_id)
        if known is not None and known.is_fact and known.until_s > now_s:
            return known
        failures = 1 if known is None else known.failures + (asked_s >= known.until_s)
        until_s = now_s + cooling_s(wait_s, failures)
        if known is not None and asked_s < known.until_s:
            until_s = max(known.until_s, until_s if wait_s is not None else 0.0)
        cooling = Cooling(now_s, until_s, failures, reason)
        if len(self._of) >= _KNOWN_MAX:
            self._forget_old(now_s)
        self._of[key_id] = cooling
        return cooling

    def is_withdrawn(self, key_id: UUID, now_s: float) -> bool:
        """Whether somebody here is telling the ledger of it already."""
        known = self._of.get(key_id)
        return known is not None and known.is_fact and known.until_s > now_s

    def take_over(self, key_id: UUID, told: Cooling) -> None:
        """What another process has found out, where that is longer than what is known here."""
        known = self._of.get(key_id)
        if known is None or (not known.is_fact and known.until_s < told.until_s):
            self._of[key_id] = told

    def forget(self, key_id: UUID) -> None:
        """Nothing is held against the key any more, but for what the ledger is being told."""
        known = self._of.get(key_id)
        if known is not None and not known.is_fact:
            del self._of[key_id]

    def withdraw(self, key_id: UUID, reason: str, within_s: float, now_s: float) -> None:
        """Leave the key alone until everybody knows what the ledger says of it."""
        known = self._of.get(key_id)
        failures = 1 if known is None else known.failures
        self._of[key_id] = Cooling(now_s, now_s + within_s, failures, reason, is_fact=True)

    def _forget_old(self, now_s: float) -> None:
        for key, one in list(self._of.items()):
            if one.until_s + _FORGOTTEN_AFTER_S <= now_s:
                del self._of[key]
