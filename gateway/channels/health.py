"""Which channels answer: a breaker for each channel and model, and how soon one is trusted again.

A breaker opens when within a minute a channel failed five times, and half of the times that it was
asked since the first of them; or at once, for as long as ten calls wait there for a first word and
none has come for a while. A channel whose breaker is open is asked last: where there is no other, a
call is not refused for what is only a guess. When its rest is over one call tries it; it rests
twice as long if it fails again, and is asked for more and more of its share if it answers.

What a provider says of a key or of the client's own request is no failure of its channel.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import structlog

from gateway.channels.cooling import Cooling, CoolingKeys
from gateway.channels.routing import Candidate
from gateway.channels.shared_keys import SharedKeys
from ledger import clock

log = structlog.get_logger()

WINDOW_S = 60.0
_BUCKET_S = 10.0
FAILURES_LEAST = 5
_FAILED_SHARE = 0.5
SILENT_CALLS_LEAST = 10
SILENT_S = 10.0
_SILENT_TIMES = 3.0
"""Longer without a word than so many times what is usual is silence."""
RECOVERY_S = 30.0
_FIRST_SHARE = 0.1
_SMOOTHED = 0.2
_KNOWN_MAX = 50_000

ChannelModel = tuple[UUID, str]
"""A channel and the provider's name for a model: a vendor may fail with one and not another."""


@dataclass(slots=True)
class _Outcomes:
    """What came of the calls since the first that failed, in the last minute: how many failed and
    how many were answered, by ten seconds.
    """

    counts: dict[int, list[int]] = field(default_factory=dict)

    def count(self, now_s: float, *, failed: bool) -> None:
        """One more."""
        bucket = int(now_s // _BUCKET_S)
        counts = self.counts.get(bucket)
        if counts is None:
            oldest = int((now_s - WINDOW_S) // _BUCKET_S)
            self.counts = {at: each for at, each in self.counts.items() if at > oldest}
            counts = self.counts[bucket] = [0, 0]
        counts[0 if failed else 1] += 1

    @property
    def failed(self) -> int:
        """How many failed."""
        return sum(failed for failed, _ in self.counts.values())

    @property
    def is_too_much(self) -> bool:
        """Whether nobody should be sent there for now."""
        all_calls = sum(sum(counts) for counts in self.counts.values())
        failed = self.failed
        return failed >= FAILURES_LEAST and failed >= _FAILED_SHARE * all_calls


@dataclass(slots=True)
class _Waiting:
    """Calls that wait for a first word. `quiet_since_s`: when the first of them began, or somebody
    was answered since; `usual_s`: for how long they wait.
    """

    calls: int = 0
    quiet_since_s: float = 0.0
    usual_s: float = 0.0

    def is_silent(self, now_s: float) -> bool:
        """Whether so many wait for so long that nobody should be sent after them."""
        patience_s = max(SILENT_S, _SILENT_TIMES * self.usual_s)
        return self.calls >= SILENT_CALLS_LEAST and now_s - self.quiet_since_s > patience_s


class ChannelHealth:
    """Of all channels, as one process knows it. Open breakers are told among processes as keys that
    rest are: under the channel's own id, which no key has.
    """

    def __init__(self, shared: SharedKeys) -> None:
        self._shared = shared
        self._open: CoolingKeys = shared.cooling
        self._outcomes: dict[ChannelModel, _Outcomes] = {}
        self._waiting: dict[ChannelModel, _Waiting] = {}
        self._recovering: dict[ChannelModel, float] = {}

    def ordered(
        self, order: Sequence[Candidate], draw: Callable[[], float] = random.random
    ) -> Sequence[Candidate]:
        """The same channels, with those last that should not be asked for this call."""
        if len(order) < 2 or not (self._open.known or self._waiting or self._recovering):
            return order
        now_s = clock.monotonic_s()
        shares = [self._share(candidate, now_s) for candidate in order]
        if all(share == 1.0 for share in shares):
            return order
        last = [share < 1.0 and draw() >= share for share in shares]
        kept = [one for one, goes in zip(order, last, strict=True) if not goes]
        return [*kept, *(one for one, goes in zip(order, last, strict=True) if goes)]

    def _share(self, candidate: Candidate, now_s: float) -> float:
        place = _place(candidate)
        against = self._open.known.get(place)
        if against is not None and not against.is_over(now_s):
            return 0.0
        waiting = self._waiting.get(place)
        if waiting is not None and waiting.is_silent(now_s):
            return 0.0
        begun_s = self._recovering.get(place)
        if begun_s is None:
            return 1.0
        if now_s - begun_s >= RECOVERY_S:
            del self._recovering[place]
            return 1.0
        return max(_FIRST_SHARE, (now_s - begun_s) / RECOVERY_S)

    def begin(self, candidate: Candidate, now_s: float) -> None:
        """A call asks a channel; its end is told by `end`."""
        place = _place(candidate)
        waiting = self._waiting.get(place)
        if waiting is None:
            if len(self._waiting) >= _KNOWN_MAX:  # clients have a say in the names of models
                self._waiting = {each: one for each, one in self._waiting.items() if one.calls}
            waiting = self._waiting[place] = _Waiting()
        if waiting.calls == 0:
            waiting.quiet_since_s = now_s
        waiting.calls += 1
        if self._open.known:
            self._open.begin_trial(candidate.channel_id, candidate.upstream_model, now_s)

    def end(self, candidate: Candidate, asked_s: float, *, has_answered: bool) -> None:
        """The call that asked at that moment waits no more."""
        place = _place(candidate)
        waiting = self._waiting[place]
        waiting.calls -= 1
        if has_answered:
            now_s = clock.monotonic_s()
            waiting.quiet_since_s = now_s
            waiting.usual_s += _SMOOTHED * (now_s - asked_s - waiting.usual_s)

    def answered(self, candidate: Candidate, asked_s: float) -> None:
        """A channel that was asked at that moment works."""
        place = _place(candidate)
        if self._outcomes and (outcomes := self._outcomes.get(place)) is not None:
            outcomes.count(clock.monotonic_s(), failed=False)
            if not outcomes.failed:
                del self._outcomes[place]
        if not self._open.known:
            return
        for model in self._open.answered(candidate.channel_id, candidate.upstream_model, asked_s):
            self._shared.forgive(candidate.channel_id, candidate.channel_id, model)
            self._recovering[place] = clock.monotonic_s()
            self._outcomes.pop(place, None)
            log.info("channel.breaker_closed", channel_id=str(candidate.channel_id), model=model)

    def failed(self, candidate: Candidate, asked_s: float, reason: str) -> None:
        """A channel that was asked at that moment failed by its own fault."""
        place, now_s = _place(candidate), clock.monotonic_s()
        if place in self._open.known:
            self._rest(candidate, asked_s, now_s, reason)
            return
        if len(self._outcomes) >= _KNOWN_MAX:
            self._outcomes.clear()
        outcomes = self._outcomes.setdefault(place, _Outcomes())
        outcomes.count(now_s, failed=True)
        if outcomes.is_too_much:
            del self._outcomes[place]
            self._rest(candidate, asked_s, now_s, reason)

    def nothing_said(self, candidate: Candidate) -> None:
        """A channel was asked, and it was not found out whether it works."""
        if self._open.known:
            self._open.end_trial(candidate.channel_id, candidate.upstream_model)

    def _rest(self, candidate: Candidate, asked_s: float, now_s: float, reason: str) -> None:
        channel_id, model = candidate.channel_id, candidate.upstream_model
        self._recovering.pop((channel_id, model), None)
        known = self._open.known.get((channel_id, model))
        rests: Cooling = self._open.failed(channel_id, model, (None, reason), asked_s, now_s)
        if known is not None and known.until_s >= rests.until_s:
            return  # a call that was under way when it opened
        log.warning(
            "channel.breaker_open",
            channel_id=str(channel_id),
            model=model,
            reason=reason,
            times=rests.failures,
            seconds=round(rests.until_s - now_s, 1),
        )
        self._shared.cool(channel_id, channel_id, model, rests)


def _place(candidate: Candidate) -> ChannelModel:
    return candidate.channel_id, candidate.upstream_model
