"""Keys that are left alone for a while, as this process knows it: no fact, and no event. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from gateway.channels.key_failures import cooling_s

ALL_MODELS = ""
"""In place of a model: what is said of a key whatever it is asked for."""
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
    """By key and model, by the provider's name for it: vendors limit models apart, and are busy
    with one and not with another. What is over is kept until the key works, so that its next time
    is longer.
    """

    def __init__(self) -> None:
        self._of: dict[tuple[UUID, str], Cooling] = {}
        self.known: Mapping[tuple[UUID, str], Cooling] = self._of
        """For a look that costs nothing: as long as it is empty, all keys are well."""

    def against(self, key_id: UUID, model: str) -> list[Cooling]:
        """What is known against asking a key for a model."""
        places = ((key_id, model), (key_id, ALL_MODELS))
        return [self._of[place] for place in places if place in self._of]

    def rested(
        self, key_ids: Iterable[UUID], model: str, now_s: float, *, joins: bool = False
    ) -> list[UUID]:
        """Those that may be asked for the model now."""
        return [
            key
            for key in key_ids
            if all(one.is_over(now_s, joins=joins) for one in self.against(key, model))
        ]

    def begin_trial(self, key_id: UUID, model: str, now_s: float) -> None:
        """A call asks the key: where it has failed before, others wait for what comes of it."""
        for one in self.against(key_id, model):
            one.tried_until_s = now_s + TRIED_WITHIN_S

    def end_trial(self, key_id: UUID, model: str) -> None:
        """The key was asked, and nothing was found out about it."""
        for one in self.against(key_id, model):
            one.tried_until_s = 0.0

    def answered(self, key_id: UUID, model: str, asked_s: float) -> list[str]:
        """The key works for the model: for what it is forgiven, where that is news. Calls that were
        under way when it failed say nothing of how it is now.
        """
        forgiven = []
        for place in ((key_id, model), (key_id, ALL_MODELS)):
            cooling = self._of.get(place)
            if cooling is not None and asked_s >= cooling.until_s:
                del self._of[place]
                forgiven.append(place[1])
        return forgiven

    def failed(
        self,
        key_id: UUID,
        model: str,
        told: tuple[float | None, str],
        asked_s: float,
        now_s: float,
    ) -> Cooling:
        """Leave the key alone, for as long as its provider says or we think. Calls that were asked
        before it was left alone count as one failure. `told`: seconds and reason.
        """
        wait_s, reason = told
        known = self._of.get((key_id, model))
        failures = 1 if known is None else known.failures + (asked_s >= known.until_s)
        until_s = now_s + cooling_s(wait_s, failures)
        if known is not None and asked_s < known.until_s:
            until_s = max(known.until_s, until_s if wait_s is not None else 0.0)
        cooling = Cooling(now_s, until_s, failures, reason)
        if len(self._of) >= _KNOWN_MAX:
            self._forget_old(now_s)
        self._of[key_id, model] = cooling
        return cooling

    def take_over(self, key_id: UUID, model: str, told: Cooling) -> None:
        """What another process has found out, where that is longer than what is known here."""
        known = self._of.get((key_id, model))
        if known is None or (not known.is_fact and known.until_s < told.until_s):
            self._of[key_id, model] = told

    def forget(self, key_id: UUID, model: str) -> None:
        """Nothing is held against the key any more for the model, or for all: but for what the
        ledger is being told.
        """
        forgotten = [
            place
            for place, one in self._of.items()
            if place[0] == key_id and model in (place[1], ALL_MODELS) and not one.is_fact
        ]
        for place in forgotten:
            del self._of[place]

    def is_withdrawn(self, key_id: UUID, now_s: float) -> bool:
        """Whether somebody here is telling the ledger of it already."""
        known = self._of.get((key_id, ALL_MODELS))
        return known is not None and known.is_fact and known.until_s > now_s

    def withdraw(self, key_id: UUID, reason: str, within_s: float, now_s: float) -> None:
        """Leave the key alone until everybody knows what the ledger says of it."""
        known = self._of.get((key_id, ALL_MODELS))
        failures = 1 if known is None else known.failures
        fact = Cooling(now_s, now_s + within_s, failures, reason, is_fact=True)
        self._of[key_id, ALL_MODELS] = fact

    def _forget_old(self, now_s: float) -> None:
        for place, one in list(self._of.items()):
            if one.until_s + _FORGOTTEN_AFTER_S <= now_s:
                del self._of[place]
