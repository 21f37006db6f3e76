"""Asking a channel by hand: what one of its models answers, with everything that went over the
wire, and which models its vendor offers now.

A question goes the channel's own way, with one of its keys and its overrides, whatever is on record
of them, and changes nothing of that. It costs a few tokens, which are booked as a probe's are.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import msgspec

from gateway.call.asking.tries import Try, TryBounds
from gateway.call.charges.own_charges import OwnCharges
from gateway.call.deadlines import Deadlines
from gateway.call.failover import ChannelVault, Failover
from gateway.call.metering.provider_costs import ProviderCosts
from gateway.call.opened import Unanswered
from gateway.channels.routing import probed_candidate
from gateway.channels.ways import ChannelWays
from gateway.errors import UpstreamFailed
from gateway.formats.contract import Format, ProviderFormat
from gateway.formats.translator import Translators
from gateway.formats.values import ChatCall
from gateway.http.upstream import Upstream, UpstreamAnswer, UpstreamRequest
from gateway.media.egress import Egress
from gateway.providers.contract import Lister, Provider
from ledger.streams import routes
from ledger.streams.channel import Channel
from ledger.streams.charge.events import Attempt
from ledger.usage import Usage

_WITHIN_S = 60.0
_SHOWN_MAX = 64 * 1024
_KEPT_MAX = 2 * _SHOWN_MAX
"""More than is shown, so that no key is cut in two before it is masked."""
_QUESTION = "Hi"
_TOKENS = 16
"""What models that think take at least."""
_ESTIMATED = Usage(input=9, output=_TOKENS, calls=1)
_MASK = "***"
_SECRET_HEADERS = frozenset(
    {
        *("authorization", "proxy-authorization", "x-api-key", "api-key", "x-goog-api-key"),
        *("cookie", "set-cookie", "x-amz-security-token"),
    }
)

_MESSAGES = [{"role": "user", "content": _QUESTION}]
_WORDED: Mapping[str, Callable[[str], dict[str, Any]]] = {
    "openai_chat": lambda model: {"model": model, "messages": _MESSAGES},
    "openai_completions": lambda model: {"model": model, "prompt": _QUESTION},
    "openai_responses": lambda model: {
        "model": model,
        "input": _QUESTION,
        "max_output_tokens": _TOKENS,
    },
    "anthropic_messages": lambda model: {
        "model": model,
        "messages": _MESSAGES,
        "max_tokens": _TOKENS,
    },
    "gemini": lambda model: {  # noqa: ARG005 - its address names the model
        "contents": [{"role": "user", "parts": [{"text": _QUESTION}]}],
        "generationConfig": {"maxOutputTokens": _TOKENS},
    },
}
ASKED_IN = tuple(_WORDED)
"""The formats in which a channel may be asked by hand."""


@dataclass(slots=True)
class ProviderExchange:
    """A request and its answer as they went over the wire, but for what is secret; of an answer the
    first 64 KiB. `status` 0: there was none.
    """

    method: str
    url: str
    request_headers: dict[str, str]
    request_body: str
    status: int = 0
    answer_headers: dict[str, str] = field(default_factory=dict)
    answer_body: bytearray = field(default_factory=bytearray)


@dataclass(frozen=True, slots=True)
class QuestionOutcome:
    """What came of a question. `error`: why it failed, in the words that a client would be told;
    empty: it was answered. `attempt`: as it was booked, if anything was used.
    """

    error: str
    finding: str
    attempt: Attempt | None
    exchange: ProviderExchange | None


@dataclass(frozen=True, slots=True)
class QuestionParts:
    """What it takes to ask."""

    sealed: ChannelVault
    formats: Mapping[str, Format]
    provider_formats: Mapping[str, ProviderFormat]
    providers: Mapping[str, Provider]
    egress: Egress
    costs: ProviderCosts
    own_charges: OwnCharges


class ChannelQuestions:
    """Of one process."""

    def __init__(self, parts: QuestionParts) -> None:
        self._parts = parts
        self._deadlines = Deadlines(_WITHIN_S)

    async def ask(
        self,
        channel_id: UUID,
        state: Channel,
        model: str,
        key_id: UUID | None,
        *,
        asked_in: str,
        stream: bool,
    ) -> QuestionOutcome:
        """Ask for a few tokens of a model, by our name for it, as a client of a format would. The
        model must have a price, or what is used could not be booked.
        """
        parts = self._parts
        recorder = _Recorder(state.route.overrides.header_names)
        candidate = probed_candidate(channel_id, state, model, key_id)
        if key_id is not None:
            with suppress(UpstreamFailed):
                recorder.secrets.append(await parts.sealed.keys.unsealed(key_id))
        sealed = parts.sealed._replace(ways=_RecordedWays(parts.sealed.ways, recorder))
        failover = Failover(
            asked_in,
            Translators(parts.formats[asked_in], parts.provider_formats),
            parts.providers,
            sealed,
            parts.egress,
            parts.costs,
            TryBounds,
        )
        call = self._call(model, asked_in, stream=stream)
        with self._deadlines.begin() as deadline:
            try:
                tried = await failover.asked_once(
                    call, Try(candidate, key_id), deadline, _ESTIMATED
                )
            except Unanswered as nobody:
                return QuestionOutcome(nobody.error.message, "", None, recorder.shown())
        if tried.attempt.usage is not None:
            await parts.own_charges.book(model, asked_in, tried.attempt)
        error = "" if tried.error is None else tried.error.message
        says = "" if tried.found is None else tried.found.reason
        return QuestionOutcome(error, says, tried.attempt, recorder.shown())

    def _call(self, model: str, asked_in: str, *, stream: bool) -> ChatCall:
        document = _WORDED[asked_in](model)
        if stream and asked_in != "gemini":
            document["stream"] = True
        call = self._parts.formats[asked_in].read_request(document, msgspec.json.encode(document))
        return msgspec.structs.replace(call, model=model, stream=stream)

    async def offered(self, channel_id: UUID, state: Channel, key_id: UUID | None) -> list[str]:
        """The models that the vendor lists for the key, by its own names.

        Raises UpstreamFailed, UpstreamTimeout; UpstreamFailed also where it has no list.
        """
        route = state.route
        provider = self._parts.providers[route.type]
        if not isinstance(provider, Lister):
            raise UpstreamFailed(f"providers of the type {route.type} have no list of models")
        key = "" if key_id is None else await self._parts.sealed.keys.unsealed(key_id)
        upstream = await self._parts.sealed.ways.upstream(channel_id, route.way)
        answer = await provider.list_models(route.base_url or provider.base_url, key, upstream)
        body = await answer.read()
        if answer.status != 200:
            raise UpstreamFailed(f"the provider's list of models has the status {answer.status}")
        return listed_models(body)


def listed_models(body: bytes) -> list[str]:
    """The names in a vendor's list: OpenAI's and Anthropic's `data`, Gemini's `models`.

    Raises UpstreamFailed for what is no list.
    """
    try:
        document = msgspec.json.decode(body, type=dict[str, Any])
        rows = document["data"] if "data" in document else document["models"]
        named = [row["id"] if "id" in row else row["name"] for row in rows]
        return sorted({name.removeprefix("models/") for name in named})
    except (msgspec.DecodeError, KeyError, TypeError, AttributeError) as error:
        raise UpstreamFailed("the provider's list of models cannot be read") from error


class _Recorder:
    """Keeps the last exchange; a key that was exchanged for a token went before it."""

    def __init__(self, secret_headers: Iterable[str]) -> None:
        self.secrets: list[str] = []
        self._secret_headers = _SECRET_HEADERS | {name.lower() for name in secret_headers}
        self._last: ProviderExchange | None = None

    def begin(self, request: UpstreamRequest) -> ProviderExchange:
        self._last = ProviderExchange(
            request.method,
            request.url,
            dict(request.headers),
            request.body[:_SHOWN_MAX].decode("utf-8", "replace"),
        )
        return self._last

    def shown(self) -> ProviderExchange | None:
        """Without what is secret: keys wherever they stand, and headers that hold such."""
        one = self._last
        if one is None:
            return None
        body = self._masked(bytes(one.answer_body).decode("utf-8", "replace"))[:_SHOWN_MAX]
        return ProviderExchange(
            one.method,
            self._masked(one.url),
            self._masked_headers(one.request_headers),
            self._masked(one.request_body),
            one.status,
            self._masked_headers(one.answer_headers),
            bytearray(body.encode()),
        )

    def _masked_headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        return {
            name: _MASK if name.lower() in self._secret_headers else self._masked(value)
            for name, value in headers.items()
        }

    def _masked(self, text: str) -> str:
        for secret in self.secrets:
            text = text.replace(secret, _MASK) if secret else text
        return text


class _RecordedWays(ChannelWays):
    """A channel's own way, with somebody who writes down what passes."""

    def __init__(self, ways: ChannelWays, recorder: _Recorder) -> None:
        self._ways = ways
        self._recorder = recorder

    async def upstream(self, channel_id: UUID, told: routes.Way) -> Upstream:
        """As it is, recorded."""
        return _Recorded(await self._ways.upstream(channel_id, told), self._recorder)


class _Recorded:
    def __init__(self, upstream: Upstream, recorder: _Recorder) -> None:
        self.idle_s = upstream.idle_s
        self._upstream = upstream
        self._recorder = recorder

    async def send(self, request: UpstreamRequest) -> UpstreamAnswer:
        if request.is_aside:
            return await self._upstream.send(request)
        exchanged = self._recorder.begin(request)
        answer = await self._upstream.send(request)
        exchanged.status, exchanged.answer_headers = answer.status, dict(answer.headers)
        return _RecordedAnswer(answer, exchanged)


class _RecordedAnswer:
    def __init__(self, answer: UpstreamAnswer, exchanged: ProviderExchange) -> None:
        self._answer = answer
        self._exchanged = exchanged
        self.status = answer.status
        self.headers = answer.headers

    async def read(self) -> bytes:
        body = await self._answer.read()
        self._note(body)
        return body

    async def pieces(self) -> AsyncIterator[bytes]:
        async for piece in self._answer.pieces():
            self._note(piece)
            yield piece

    def close(self) -> None:
        self._answer.close()

    def _note(self, piece: bytes) -> None:
        room = _KEPT_MAX - len(self._exchanged.answer_body)
        self._exchanged.answer_body += piece[: max(0, room)]
