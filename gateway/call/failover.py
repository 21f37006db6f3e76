"""Asking one channel after the other until one answers; none is asked twice.

A candidate has answered once there is something to give to the client: a whole answer that can be
read, or the first content of a stream. Until then its failure costs the client nothing.
"""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import structlog
from msgspec.structs import replace

from gateway.call.deadlines import Deadline
from gateway.call.metering.provider_costs import ProviderCosts
from gateway.call.opened import Opened, Unanswered, elapsed_ms
from gateway.call.opening import open_answer
from gateway.channels.key_refusals import KeyRefused
from gateway.channels.keys import ChannelKeys
from gateway.channels.routing import Candidate
from gateway.channels.system_prompts import ChannelTexts
from gateway.channels.ways import ChannelWays
from gateway.conversation.reasoning_suffixes import Suffix, read_suffix
from gateway.errors import (
    GatewayError,
    InternalError,
    InvalidRequest,
    MediaUnavailable,
    Overloaded,
    UpstreamFailed,
    UpstreamRefused,
    UpstreamTimeout,
)
from gateway.formats.shared.vendors.other_format import format_for
from gateway.formats.translator import Asking, Outgoing, Translator, Translators
from gateway.formats.values import ChatCall, CountTokens
from gateway.http.lenient_json import UnreadableAnswer
from gateway.http.upstream import UpstreamAnswer
from gateway.media.addressed import MediaNeeded
from gateway.media.egress import Egress
from gateway.media.fetch import MediaFetch
from gateway.providers.contract import Attempt as ProviderAttempt
from gateway.providers.contract import Keeper, Provider
from ledger import clock
from ledger.streams.channel import Shaping
from ledger.streams.charge.events import Attempt

log = structlog.get_logger()

_FAILURE_BYTES_MAX = 64 * 1024
_FAILURE_WITHIN_S = 10.0
_KNOWN_MAX = 10_000
_UNSHAPED = Shaping()


class ChannelVault(NamedTuple):
    """What channels keep sealed: their providers' keys, their own system prompts, their proxies."""

    keys: ChannelKeys
    texts: ChannelTexts
    ways: ChannelWays


class _ChosenFormat(NamedTuple):
    """A candidate, the format in which it is asked (the client's own if it speaks that), and what
    its name for the model says; `spoken`: all that it speaks.
    """

    candidate: Candidate
    format: str
    suffix: Suffix
    spoken: Sequence[str]


class _Written(NamedTuple):
    """A request as it is sent: in which format, by which translator, for what, and what."""

    format: str
    translator: Translator
    asking: Asking
    outgoing: Outgoing


class Failover:
    """Asks candidates in order."""

    def __init__(  # noqa: PLR0913 - what it takes to ask anybody
        self,
        own_format: str,
        translators: Translators,
        providers: Mapping[str, Provider],
        vault: ChannelVault,
        key_refused: KeyRefused,
        egress: Egress,
        costs: ProviderCosts,
    ) -> None:
        self._own_format = own_format
        self._translators = translators
        self._providers = providers
        self._vault = vault
        self._key_refused = key_refused
        self._egress = egress
        self._costs = costs
        self._known: dict[int, _ChosenFormat] = {}

    async def first_answer(
        self,
        call: ChatCall,
        order: Sequence[Candidate],
        count_tokens: CountTokens,
        deadline: Deadline,
    ) -> Opened:
        """The first candidate that answers. Raises Unanswered."""
        attempts: list[Attempt] = []
        error: GatewayError = UpstreamFailed("no channel can take this call")
        spent: Opened | None = None
        media = MediaFetch(self._egress)
        for candidate in order:
            started_s = clock.monotonic_s()
            opened: Opened | None = None
            try:
                async with deadline.guard():
                    written = await self._written(call, candidate, media)
                    opened = await self._ask(call, candidate, written)
                    await self._begin(opened, call, count_tokens)
            except TimeoutError as reached:
                attempts.append(self._costs.cut_short(candidate, started_s, opened, call.service))
                raise Unanswered(deadline.error, attempts) from reached
            except MediaUnavailable as unavailable:
                error = unavailable  # nobody was asked; another may fetch it by itself
                continue
            except Overloaded as ours:
                raise Unanswered(ours, attempts) from ours  # no provider did anything wrong
            except GatewayError as failure:
                error = failure
            except Exception as fault:
                log.exception("failover.failed_here", channel=str(candidate.channel_id))
                raise Unanswered(InternalError("something went wrong here"), attempts) from fault
            else:
                opened.attempts = tuple(attempts)
                return opened
            spent = opened if opened is not None and opened.is_spent else None
            if spent is not None:
                spent.attempts, spent.failure = tuple(attempts), error
            failed = self._costs.failed(candidate, error, started_s, opened, call.service)
            attempts.append(failed)
            if isinstance(error, UpstreamRefused):
                break
        raise Unanswered(error, attempts, spent)

    def own_model(self, option: Candidate) -> str:
        """The provider's name for the model, without an ending that says how to think."""
        return self._chosen_format(option).suffix.model

    def output_tokens_least(self, options: Sequence[Candidate]) -> int:
        """The room an answer needs at one of the candidates, by what their models' names say."""
        return max(self._chosen_format(option).suffix.output_tokens_least for option in options)

    async def own_words(self, options: Sequence[Candidate]) -> list[str]:
        """The system prompts that candidates may add to a call; one that cannot be read now keeps
        its channel from answering.
        """
        words: list[str] = []
        for option in options:
            with contextlib.suppress(UpstreamFailed):
                words.append(await self._vault.texts.read(option) or "")
        return [each for each in words if each]

    def _chosen_format(self, candidate: Candidate) -> "_ChosenFormat":
        """How it is asked; found out once, for candidates are the same call after call."""
        known = self._known.get(id(candidate))
        if known is not None and known.candidate is candidate:
            return known
        provider, model = self._providers[candidate.type], candidate.upstream_model
        spoken = provider.formats(candidate.base_url, model, candidate.settings)
        chosen = self._own_format if self._own_format in spoken else spoken[0]
        kept = candidate.shaping.keeps_suffix
        suffix = read_suffix(model, chosen, provider.habits.suffixes, kept)
        if len(self._known) >= _KNOWN_MAX:
            self._known.clear()
        found = self._known[id(candidate)] = _ChosenFormat(candidate, chosen, suffix, spoken)
        return found

    async def _written(self, call: ChatCall, candidate: Candidate, media: MediaFetch) -> "_Written":
        """The request for a candidate, with media put in that it does not fetch by itself."""
        _, chosen, suffix, spoken = self._chosen_format(candidate)
        spoken_here = format_for(call, candidate.type, suffix, chosen, spoken)
        shaping = candidate.shaping
        # What a variant answers is no turn: nothing of it could be written anew.
        translator = self._translators.to(spoken_here, _UNSHAPED if call.variant else shaping)
        words = await self._vault.texts.read(candidate) or ""
        asking = Asking(
            suffix,
            words,
            shaping.system_prompt_leads,
            takes_addresses=self._providers[candidate.type].habits.fetches_media,
            vendor=candidate.type,
        )
        try:
            outgoing = translator.outgoing(call, asking)
        except MediaNeeded as needed:
            await media.get(needed.media)
            outgoing = translator.outgoing(replace(call, fetched=media.fetched), asking)
        return _Written(spoken_here, translator, asking, outgoing)

    async def _ask(self, call: ChatCall, candidate: Candidate, written: "_Written") -> Opened:
        """What the candidate begins to answer."""
        started_s = clock.monotonic_s()
        provider = self._providers[candidate.type]
        spoken_here, translator, asking, outgoing = written
        key_id, key = await self._vault.keys.pick(candidate)
        upstream = await self._vault.ways.upstream(candidate)
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
                variant=_known_variant(call, provider),
            ),
            upstream,
        )
        opened = Opened(
            candidate, translator, answer, (), started_s, elapsed_ms(started_s), asking, spoken_here
        )
        opened.key_id, opened.losses = key_id, outgoing.losses
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
            raise _told_of(fault, opened) from fault
        except BaseException:
            answer.close()
            raise

    async def _raise_failure(self, opened: Opened) -> None:
        answer = opened.upstream
        body = await _beginning(answer)
        answer.close()
        if answer.status == 401 and opened.key_id is not None:
            self._key_refused(opened.candidate, opened.key_id)
        with contextlib.suppress(UnreadableAnswer):
            opened.failed_answer = opened.translator.read_answer(body)
        failure = opened.translator.classify_failure(answer.status, answer.headers, body)
        raise _with_status(failure, answer.status)


async def _beginning(answer: UpstreamAnswer) -> bytes:
    """What a failure says, as far as that comes soon: the next candidate waits for it."""
    body = b""
    with contextlib.suppress(TimeoutError, UpstreamTimeout):
        async with asyncio.timeout(_FAILURE_WITHIN_S):
            async for piece in answer.pieces():
                body += piece
                if len(body) > _FAILURE_BYTES_MAX:
                    break
    return body


def _known_variant(call: ChatCall, provider: Provider) -> str:
    """Raises InvalidRequest for a variant the provider would take for the usual thing."""
    if call.variant and not isinstance(provider, Keeper):
        raise InvalidRequest(
            "The provider of this model cannot do this.", code="unsupported_operation"
        )
    return call.variant


def _with_status(error: GatewayError, status: int) -> GatewayError:
    error.upstream_status = status  # type: ignore[attr-defined]
    return error


def _told_of(fault: Exception, opened: Opened) -> GatewayError:
    """The failure of a candidate; a reader of ours that stumbles over an answer is one as well."""
    if isinstance(fault, GatewayError):
        return fault
    channel = str(opened.candidate.channel_id)
    log.error("failover.answer_not_understood", channel=channel, exc_info=fault)
    return UpstreamFailed("the provider's answer cannot be read")
