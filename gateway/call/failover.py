"""Asking one channel after the other, key by key, until one answers (`asking/tries.py`).

A candidate has answered once there is something to give to the client: a whole answer that can be
read, or the first content of a stream. Until then its failure costs the client nothing.
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import structlog

from gateway.call.asking.failures import (
    AskedOnce,
    beginning,
    kind_of_failure,
    known_variant,
    read_to_its_end,
    said_of_key,
    told_of,
)
from gateway.call.asking.requests import (
    UNKNOWN_CLIENT,
    CandidateRequests,
    Client,
    WrittenRequest,
)
from gateway.call.asking.tries import Tries, Try, TryBounds
from gateway.call.deadlines import Deadline
from gateway.call.metering.provider_costs import ProviderCosts
from gateway.call.opened import Opened, Unanswered, elapsed_ms
from gateway.call.opening import open_answer
from gateway.channels.health import ChannelHealth
from gateway.channels.key_failures import (
    NOTHING_SAID,
    KeyFinding,
    KeyVerdict,
    finding_in_failure,
)
from gateway.channels.keys import ChannelKeys
from gateway.channels.overrides.headers import with_key
from gateway.channels.overrides.sealed import ChannelOverrides
from gateway.channels.overrides.upstream import WithHeaders
from gateway.channels.routing import Candidate
from gateway.channels.system_prompts import ChannelTexts
from gateway.channels.ways import ChannelWays
from gateway.errors import (
    ChannelUnusable,
    GatewayError,
    InternalError,
    MediaUnavailable,
    Overloaded,
    ProviderUnavailable,
    UpstreamFailed,
    UpstreamRateLimited,
    UpstreamRefused,
    UpstreamTimeout,
)
from gateway.formats.translator import Translators
from gateway.formats.values import ChatCall, CountTokens
from gateway.http.lenient_json import UnreadableAnswer
from gateway.media.egress import Egress
from gateway.media.fetch import MediaFetch
from gateway.providers.contract import Attempt as ProviderAttempt
from gateway.providers.contract import Provider
from ledger import clock
from ledger.streams.charge.events import Attempt
from ledger.usage import Usage

log = structlog.get_logger()


class ChannelVault(NamedTuple):
    """What channels keep sealed: their providers' keys, their own system prompts, their proxies,
    and what they change."""

    keys: ChannelKeys
    texts: ChannelTexts
    ways: ChannelWays
    overrides: ChannelOverrides
    health: ChannelHealth


@dataclass(slots=True)
class _Round:
    """A call on its way from one to the other: what was tried, and what came of the last."""

    call: ChatCall
    count_tokens: CountTokens
    deadline: Deadline
    media: MediaFetch
    client: Client = UNKNOWN_CLIENT
    attempts: list[Attempt] = field(default_factory=list)
    written: WrittenRequest | None = None
    opened: Opened | None = None
    spent: Opened | None = None


class Failover:
    """Asks candidates in order."""

    def __init__(  # noqa: PLR0913 - what it takes to ask anybody
        self,
        own_format: str,
        translators: Translators,
        providers: Mapping[str, Provider],
        vault: ChannelVault,
        egress: Egress,
        costs: ProviderCosts,
        bounds: Callable[[], TryBounds],
    ) -> None:
        self.requests = CandidateRequests(
            own_format, translators, providers, vault.texts, vault.overrides
        )
        self._providers = providers
        self._vault = vault
        self._egress = egress
        self._costs = costs
        self._bounds = bounds

    async def first_answer(
        self,
        call: ChatCall,
        order: Sequence[Candidate],
        count_tokens: CountTokens,
        deadline: Deadline,
        client: Client = UNKNOWN_CLIENT,
    ) -> Opened:
        """The first candidate that answers. Raises Unanswered."""
        health = self._vault.health
        tries = Tries(health.ordered(order), self._vault.keys, self._bounds)
        asking = _Round(call, count_tokens, deadline, MediaFetch(self._egress), client)
        error: GatewayError | None = None
        while (one := tries.next()) is not None:
            started_s = clock.monotonic_s()
            asking.opened = None
            try:
                opened = await self._tried(asking, one)
            except MediaUnavailable as unavailable:
                error = unavailable  # nobody was asked; another may fetch it by itself
                continue
            except GatewayError as failure:
                error = self._learned(asking, one, failure, started_s)
            else:
                if one.key_id is not None:
                    self._vault.keys.answered(one.candidate, one.key_id, started_s)
                health.answered(one.candidate, started_s)
                opened.attempts = tuple(asking.attempts)
                return opened
            if isinstance(error, UpstreamRefused):
                break
            if asking.written is not None:
                _go_on(tries, one.candidate, asking.opened, error)
        raise Unanswered(self._told(error, order), asking.attempts, asking.spent)

    async def _tried(self, asking: _Round, one: Try) -> Opened:
        """What one candidate answers to one key. Raises its failure, and Unanswered where nobody
        else is to be asked.
        """
        call, candidate, started_s = asking.call, one.candidate, clock.monotonic_s()
        has_answered = False
        self._vault.health.begin(candidate, started_s)
        try:
            async with asking.deadline.guard():
                written = asking.written
                if written is None or written.candidate is not candidate:
                    asking.written = None
                    tried = len(asking.attempts)
                    written = await self.requests.written(
                        call, candidate, asking.media, asking.client, tried
                    )
                    asking.written = written
                opened = asking.opened = await self._ask(call, one, written)
                await self._begin(opened, call, asking.count_tokens)
        except TimeoutError as reached:
            cut = self._costs.cut_short(candidate, started_s, asking.opened, call.service)
            raise Unanswered(asking.deadline.error, [*asking.attempts, cut]) from reached
        except Overloaded as ours:
            raise Unanswered(ours, asking.attempts) from ours  # no provider did anything wrong
        except GatewayError:
            raise
        except Exception as fault:
            log.exception("failover.failed_here", channel=str(candidate.channel_id))
            error = InternalError("something went wrong here")
            raise Unanswered(error, asking.attempts) from fault
        else:
            has_answered = True
            return opened
        finally:
            self._vault.health.end(candidate, started_s, has_answered=has_answered)

    async def asked_once(
        self, call: ChatCall, one: Try, deadline: Deadline, estimated: Usage
    ) -> AskedOnce:
        """What came of asking one channel with one key, and what it cost, `estimated` where that is
        not told; nobody else is asked, and nothing is noted. A stream is read to its end.

        Raises Unanswered where it was not the provider that made it fail.
        """
        asking = _Round(call, _counted_by_nobody, deadline, MediaFetch(self._egress))
        started_s = clock.monotonic_s()
        try:
            opened = await self._tried(asking, one)
            await read_to_its_end(opened, deadline)
        except GatewayError as error:
            failed = self._costs.failed(
                one.candidate, error, started_s, asking.opened, call.service
            )
            return AskedOnce(said_of_key(asking.opened, error), failed, error)
        return AskedOnce(None, self._costs.unsold(one.candidate, started_s, opened, estimated))

    def broke(self, opened: Opened, error: GatewayError) -> None:
        """Note what an error says of the key that comes when something was delivered already."""
        found = NOTHING_SAID
        if opened.key_id is not None:
            found = said_of_key(opened, error)
            self._vault.keys.failed(opened.candidate, opened.key_id, found, opened.started_s)
        self._note_health(opened.candidate, opened, error, found, opened.started_s)

    def unavailable(self, options: Sequence[Candidate]) -> GatewayError | None:
        """What to tell where none of these channels has a key that may be asked now; else None."""
        return self._vault.keys.exhausted(options)

    def _learned(
        self, asking: _Round, one: Try, error: GatewayError, started_s: float
    ) -> GatewayError:
        """Book the failure, and note what it says of the key. As our client is told it: a key of
        ours that is not taken is no fault of the client's, nor of its balance.
        """
        opened, found = asking.opened, NOTHING_SAID
        failure = error
        if one.key_id is not None:
            found = said_of_key(opened, error)
            told = self._vault.keys.failed(one.candidate, one.key_id, found, started_s)
            if told is not None:
                told.upstream_status = getattr(error, "upstream_status", 0)
                error = told
        self._note_health(one.candidate, opened, failure, found, started_s)
        asking.spent = opened if opened is not None and opened.is_spent else None
        if asking.spent is not None:
            asking.spent.attempts, asking.spent.failure = tuple(asking.attempts), error
        asking.attempts.append(
            self._costs.failed(one.candidate, error, started_s, opened, asking.call.service)
        )
        return error

    def _note_health(
        self,
        candidate: Candidate,
        opened: Opened | None,
        error: GatewayError,
        found: KeyFinding,
        asked_s: float,
    ) -> None:
        """Whether the channel itself failed: not its key, not the client, and not we."""
        is_its_own = isinstance(error, UpstreamFailed) and not isinstance(
            error, UpstreamRefused | ChannelUnusable
        )
        if not is_its_own or found.verdict is not KeyVerdict.NOTHING:
            self._vault.health.nothing_said(candidate)
            return
        self._vault.health.failed(candidate, asked_s, kind_of_failure(opened, error))

    def _told(self, error: GatewayError | None, order: Sequence[Candidate]) -> GatewayError:
        """What the client is told when nobody is left: what the last said, and where that was about
        its key, when one may be asked again.
        """
        if error is None or isinstance(error, ProviderUnavailable | UpstreamRateLimited):
            none_left = self._vault.keys.exhausted(order)
            return none_left or error or UpstreamFailed("no channel can take this call")
        return error

    async def _ask(self, call: ChatCall, one: Try, written: WrittenRequest) -> Opened:
        """What the candidate begins to answer."""
        started_s = clock.monotonic_s()
        candidate, spoken_here, translator, asking, outgoing, headers = written
        provider = self._providers[candidate.type]
        key = "" if one.key_id is None else await self._vault.keys.unsealed(one.key_id)
        upstream = await self._vault.ways.upstream(candidate.channel_id, candidate.way)
        if headers:
            upstream = WithHeaders(upstream, with_key(headers, key))
        answer = await provider.open(
            ProviderAttempt(
                channel_id=candidate.channel_id,
                base_url=candidate.base_url or provider.base_url,
                key=key,
                upstream_model=asking.suffix.model,
                body=outgoing.body,
                is_stream=call.stream,
                format=spoken_here,
                headers=outgoing.headers,
                settings=candidate.settings,
                variant=known_variant(call, provider),
            ),
            upstream,
        )
        opened = Opened(
            candidate, translator, answer, (), started_s, elapsed_ms(started_s), asking, spoken_here
        )
        opened.key_id, opened.losses = one.key_id, outgoing.losses
        opened.patience_s = upstream.idle_s
        return opened

    async def _begin(self, opened: Opened, call: ChatCall, count_tokens: CountTokens) -> None:
        """Read until there is something to give. Raises a GatewayError where there never will be;
        what was read by then stays in `opened`.
        """
        answer = opened.upstream
        try:
            if answer.status != 200:
                await self._raise_failure(opened)
            await open_answer(opened, call, count_tokens, opened.patience_s)
        except Exception as fault:
            answer.close()
            raise told_of(fault, opened) from fault
        except BaseException:
            answer.close()
            raise

    async def _raise_failure(self, opened: Opened) -> None:
        answer = opened.upstream
        body = await beginning(answer)
        answer.close()
        if opened.key_id is not None:
            opened.said_of_key = finding_in_failure(answer.status, answer.headers, body)
        with contextlib.suppress(UnreadableAnswer):
            opened.failed_answer = opened.translator.read_answer(body)
        failure = opened.translator.classify_failure(answer.status, answer.headers, body)
        if isinstance(failure, UpstreamFailed):
            failure.upstream_status = answer.status
        failure.status = opened.candidate.overrides.statuses.get(str(answer.status), failure.status)
        raise failure


def _counted_by_nobody(_texts: Sequence[str]) -> int:
    return 0  # nobody pays for it


def _go_on(tries: Tries, candidate: Candidate, opened: Opened | None, error: GatewayError) -> None:
    """With the channel's next key where it answered; else other channels come first."""
    if opened is None or isinstance(error, UpstreamTimeout):
        tries.way_failed(candidate)
    else:
        tries.key_failed(candidate)
