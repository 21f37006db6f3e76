"""Finding out whether a provider takes a key again that is out of use.

A key that was not accepted is shown to the vendor's list of models, where that costs nothing and
says something; else, and where there was no money, it asks a model for one token. What that costs
is the operator's, and booked as every try is that nobody is charged for: by a charge of an account
of our own, which is given back whole. What the answer says of the key is told by the table that is
read for calls. A key that was paused by hand is left alone, and so is a channel.
"""

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

import msgspec
import psycopg
import structlog
from psycopg_pool import PoolTimeout

from gateway.call.asking.tries import Try
from gateway.call.charges.own_charges import OwnCharges
from gateway.call.deadlines import Deadlines
from gateway.call.failover import ChannelVault, Failover
from gateway.call.opened import Unanswered
from gateway.channels.cooling import ALL_MODELS
from gateway.channels.key_failures import NOTHING_SAID, KeyFinding, KeyVerdict, finding_in_failure
from gateway.channels.probe_schedule import DueProbe, ProbeSchedule
from gateway.channels.routing import Candidate, probed_candidate
from gateway.errors import GatewayError
from gateway.formats.contract import Format
from gateway.formats.shared.openai_models import takes_completion_limit
from gateway.providers.contract import Lister, Provider
from ledger import clock
from ledger.errors import LedgerError
from ledger.streams import channel
from ledger.streams.channel import Channel, KeyCondition
from ledger.streams.routes import Route
from ledger.usage import Usage
from projections.cache.channel_keys import SharedCooling
from projections.cache.errors import CacheUnavailable
from projections.configuration import Configuration

log = structlog.get_logger()

LOOK_EVERY_S = 5.0
_WITHIN_S = 30.0
_AT_ONCE = 8
_ANSWERED = "probe_answered"
_LIST_SAYS = ("provider_status_401", "key_in_bad_request")
"""Why a key is refused of which a list of models can tell that it is not any more."""
_NO_CHAT = re.compile(
    r"embed|rerank|whisper|transcri|tts|speech|audio|image|dall-e|moderation|realtime|video|sora"
)
_QUESTION = "Hi"
_THINKING_TOKENS = 16
_ESTIMATED = Usage(input=9, output=1, calls=1)

Outcome = Literal["usable", "refused", "out_of_money"]


@dataclass(frozen=True, slots=True)
class ProbeParts:
    """What it takes to ask, and to say what came of it."""

    configuration: Configuration
    schedule: ProbeSchedule
    sealed: ChannelVault
    failover: Failover
    asked_in: Format
    providers: Mapping[str, Provider]
    own_charges: OwnCharges
    mark: Callable[[UUID, channel.MarkKey], Awaitable[object]]
    actor: str


class KeyProbes:
    """Of one process; however many there are, each probe is made by one."""

    def __init__(self, parts: ProbeParts) -> None:
        self._parts = parts
        self._deadlines = Deadlines(_WITHIN_S)
        self._had_some = True

    async def run(self) -> None:
        """Look for ever."""
        while True:
            try:
                await self.look()
            except (psycopg.Error, PoolTimeout, OSError) as error:
                log.warning("key_probes.not_looked", error=str(error))
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Ask with every key that is due. Raises psycopg.Error, PoolTimeout."""
        out_of_use = {
            key_id: channel_id
            for channel_id, state in self._parts.configuration.held.channels.items()
            if not (state.is_removed or state.is_paused)
            for key_id, condition in state.out_of_use.items()
            if condition.state != "paused"
        }
        if not out_of_use and not self._had_some:
            return
        self._had_some = bool(out_of_use)
        due = await self._parts.schedule.take_due(out_of_use, _AT_ONCE)
        await asyncio.gather(*(self._probe(one) for one in due))

    async def _probe(self, due: DueProbe) -> None:
        state = self._parts.configuration.held.channels.get(due.channel_id)
        condition = None if state is None else state.out_of_use.get(due.key_id)
        if state is None or condition is None:
            return
        try:
            found = await self._found(state, condition, due)
        except Exception as fault:  # one key's probe holds up no other's
            log.exception("key_probes.failed_here", key_id=str(due.key_id), error=repr(fault))
            return
        outcome = outcome_of(condition, found)
        log.info(
            "channel.key_probed",
            channel_id=str(due.channel_id),
            key_id=str(due.key_id),
            state=condition.state,
            says=_ANSWERED if found is None else found.reason or "nothing",
        )
        if outcome is not None:
            await self._mark(due, condition, outcome, found)

    async def _mark(
        self, due: DueProbe, condition: KeyCondition, outcome: Outcome, found: KeyFinding | None
    ) -> None:
        reason = _ANSWERED if found is None else found.reason
        shared = self._parts.sealed.keys.shared
        if outcome == "usable":
            with contextlib.suppress(CacheUnavailable):  # then each process finds out for itself
                await shared.tell(due.channel_id, due.key_id, ALL_MODELS, _rest(found))
        mark = channel.MarkKey(
            due.key_id, outcome, self._parts.actor, reason, expected=condition.state
        )
        try:
            await self._parts.mark(due.channel_id, mark)
        except (LedgerError, psycopg.Error, PoolTimeout) as error:
            log.warning("key_probes.not_recorded", key_id=str(due.key_id), error=str(error))

    async def _found(
        self, state: Channel, condition: KeyCondition, due: DueProbe
    ) -> KeyFinding | None:
        """What the provider says of the key; None: it takes it."""
        route = state.route
        provider = self._parts.providers[route.type]
        is_told = condition.reason in _LIST_SAYS
        if is_told and isinstance(provider, Lister) and provider.lists(route.base_url):
            found = await self._listed(provider, route, due)
            if found is None or found.reason != "provider_status_403":
                return found
            # A key may be good for calls and not for lists.
        model = self._model(state, due.number)
        if model is None:
            return NOTHING_SAID
        candidate = probed_candidate(due.channel_id, state, model, due.key_id)
        return await self._asked(candidate, model, due.key_id)

    async def _listed(self, provider: Lister, route: Route, due: DueProbe) -> KeyFinding | None:
        sealed = self._parts.sealed
        try:
            key = await sealed.keys.unsealed(due.key_id)
            upstream = await sealed.ways.upstream(due.channel_id, route.way)
            async with asyncio.timeout(_WITHIN_S):
                base_url = route.base_url or provider.base_url
                answer = await provider.list_models(base_url, key, upstream)
                body = await answer.read()
        except (GatewayError, TimeoutError):
            return NOTHING_SAID
        if answer.status == 200:
            return None
        return finding_in_failure(answer.status, answer.headers, body)

    async def _asked(self, candidate: Candidate, model: str, key_id: UUID) -> KeyFinding | None:
        """One token, or what a model that thinks needs at least; and its cost in the books."""
        thinks = takes_completion_limit(candidate.upstream_model)
        limit = {"max_completion_tokens": _THINKING_TOKENS} if thinks else {"max_tokens": 1}
        messages = [{"role": "user", "content": _QUESTION}]
        document = {"model": model, "messages": messages, **limit}
        call = self._parts.asked_in.read_request(document, msgspec.json.encode(document))
        with self._deadlines.begin() as deadline:
            try:
                asked = await self._parts.failover.asked_once(
                    call, Try(candidate, key_id), deadline, _ESTIMATED
                )
            except Unanswered:  # for want of time, or by a fault of ours
                return NOTHING_SAID
        if asked.attempt.usage is not None:
            await self._parts.own_charges.book(model, self._parts.asked_in.name, asked.attempt)
        return asked.found

    def _model(self, state: Channel, number: int) -> str | None:
        """By our name; the cheapest first, and another one each time, for not all may be there."""
        prices, now_us = self._parts.configuration.held.prices, clock.now_us()
        priced = []
        for model in state.route.models:
            history = prices.get(model)
            found = None if history is None else history.at(now_us)
            if found is not None and not _NO_CHAT.search(model):
                rates = found[1].price.rates
                priced.append((rates.get("input", 0) + rates.get("output", 0), model))
        return sorted(priced)[(number - 1) % len(priced)][1] if priced else None


def outcome_of(condition: KeyCondition, found: KeyFinding | None) -> Outcome | None:
    """The state after a probe; None: nothing was found out.

    Whoever is told to wait was accepted; whether there is money again, that does not say.
    """
    if found is None:
        return "usable"
    match found.verdict:
        case KeyVerdict.REFUSED:
            return "refused"
        case KeyVerdict.OUT_OF_MONEY:
            return "out_of_money"
        case KeyVerdict.COOLING if condition.state == "refused":
            return "usable"
        case _:
            return None


def _rest(found: KeyFinding | None) -> SharedCooling | None:
    """For how long a key that works again is to be left alone first."""
    if found is None:
        return None
    return SharedCooling(found.wait_s or 1.0, 1, found.reason)
