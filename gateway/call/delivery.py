"""Giving the answer to the client, and closing its charge before the client can see the end."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import structlog

from gateway.call.deadlines import Deadline
from gateway.call.forwarding import PROVIDER_ERROR, Delivering, Ending, pass_on
from gateway.call.metering.meter import Meter, Metered
from gateway.call.metering.provider_costs import ProviderCosts
from gateway.call.metering.tokenizer import Tokenizer
from gateway.call.opened import Opened, elapsed_ms
from gateway.call.opening import whole_told
from gateway.errors import (
    GatewayError,
    InternalError,
    Overloaded,
    UpstreamFailed,
)
from gateway.formats.contract import Format, StreamReader, UnreadableAnswer
from gateway.formats.translator import Whole
from gateway.formats.values import Answer
from gateway.http.exchange import Exchange, header_list
from gateway.stored_responses.keeping import AnsweredBy, Keeping
from gateway.stored_responses.store import StoredResponses
from ledger.pricing import STANDARD, dearest_service
from ledger.streams.charge.rules import Settle, uncharged_attempts
from ledger.usage import Usage

log = structlog.get_logger()

_JSON = [(b"content-type", b"application/json; charset=utf-8"), (b"cache-control", b"no-store")]
_EVENT_STREAM = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]
_LOST_BYTES_MAX = 1_024
_DRAINED = "client_gone_drained"
UNPRICED_SERVICE = "unpriced_service"
"""Anomaly: a service that answered has no price of ours."""


@dataclass(frozen=True, slots=True)
class Drains:
    """How long, and for how many, we read on after a client has left."""

    within_s: float = 120.0
    at_once_max: int = 50


class Delivery:
    """Delivers what was opened, over one format."""

    def __init__(
        self,
        client_format: Format,
        tokenizer: Tokenizer,
        drains: Drains,
        costs: ProviderCosts,
        kept: StoredResponses,
        broke: Callable[[Opened, GatewayError], None],
    ) -> None:
        self._format = client_format
        self._kept = kept
        self._broke = broke
        self._costs = costs
        self._meter = Meter(client_format, tokenizer)
        self._drains = drains
        self._draining: set[Deadline] = set()

    async def deliver(self, one: Delivering) -> None:
        """Give the answer to the client, and close the charge.

        Raises Overloaded when a whole answer's settlement is not durable in time; the client then
        has nothing, and nothing stays charged. Raises InternalError where we fail ourselves: what
        was delivered is charged, and what was not is our own cost.
        """
        try:
            if one.opened.reader is not None:
                await self._stream(one, one.opened.reader)
            else:
                assert one.opened.whole is not None
                await self._whole(one, one.opened.whole)
        except GatewayError:
            raise
        except Exception as fault:
            log.exception("delivery.failed_here", request_id=one.exchange.request_id)
            await self._charge_delivered(one)
            raise InternalError("something went wrong here") from fault

    async def _charge_delivered(self, one: Delivering) -> None:
        """Close the charge of an answer that we broke off ourselves: as what was delivered. Where
        nothing was, what the provider takes stays in the books, and the charge is given back.
        """
        if not one.exchange.has_written:
            one.charge.give_back()
        if not one.charge.is_closing:
            metered = await self._meter.so_far(one.call, one.charge.opening, one.opened)
            await one.charge.settle_in_time(self._settle(one, metered, "internal_error"))

    async def charge_failed(self, one: Delivering) -> None:
        """Close the charge of a call that nobody answered, where the last who was asked tells what
        that used: providers bill it. The client is told of the failure by others.
        """
        metered = await self._meter.of_failure(one.call, one.charge.opening, one.opened)
        await one.charge.settle_in_time(self._settle(one, metered, "provider_error"))

    async def _whole(self, one: Delivering, whole: Whole) -> None:
        """The body is held back until the settlement is durable."""
        answer = whole.answer
        metered = await self._meter.so_far(one.call, one.charge.opening, one.opened)
        body = await whole_told(one.opened, one.call, whole, metered.usage)
        if one.call.keeps and not await self._remember(one, metered.usage, answer, body):
            unsettled = self._settle(one, metered, "undelivered")
            attempts = uncharged_attempts(unsettled, one.charge.opening.terms)
            await one.charge.refund_in_time("undelivered", attempts, unsettled.duration_ms)
            raise Overloaded("where the answer is kept could not be recorded", retry_after_s=5)
        ending = "client_gone" if one.exchange.is_gone else "complete"
        if not await one.charge.settle_in_time(self._settle(one, metered, ending)):
            one.charge.give_back_when_settled()
            raise Overloaded("the charge could not be recorded in time", retry_after_s=5)
        if one.call.stream:
            await one.exchange.start(200, [*_EVENT_STREAM, *_lost(one.opened)])
            await one.exchange.end(body)
        else:
            await one.exchange.respond(200, [*_JSON, *_lost(one.opened)], body)

    async def _stream(self, one: Delivering, reader: StreamReader) -> None:
        """Content passes at once; the end waits until the settlement is durable."""
        exchange = one.exchange
        exchange.watch_now()
        await exchange.start(200, [*_EVENT_STREAM, *_lost(one.opened)])
        try:
            ending = await pass_on(one, reader)
        finally:
            exchange.unwatch()
            one.opened.upstream.close()
        if ending.error is not None and ending.code == PROVIDER_ERROR:
            self._broke(one.opened, ending.error)
        last = await self._close_stream(one, reader, ending)
        await exchange.end(self._format.stream_error(ending.error) if ending.error else last)

    async def _close_stream(self, one: Delivering, reader: StreamReader, ending: Ending) -> bytes:
        """Close the charge; what the stream ends with. Sets the ending's error if not in time."""
        if ending.error is not None and not reader.saw_content and reader.usage is None:
            attempts = one.opened.final_attempts("cut")
            await one.charge.refund_in_time(ending.code, attempts, attempts[-1].duration_ms)
            return b""
        metered = await self._meter.so_far(one.call, one.charge.opening, one.opened)
        code = "client_gone" if one.exchange.is_gone else ending.code
        # What was delivered is charged before anything else can go wrong with its end.
        if not await one.charge.settle_in_time(self._settle(one, metered, code)):
            ending.error = Overloaded("the charge could not be recorded in time")
        return await self._last_of(one, reader, ending, metered.usage)

    async def _last_of(
        self, one: Delivering, reader: StreamReader, ending: Ending, usage: Usage
    ) -> bytes:
        """What a stream ends with, once it is charged and, where it is to be kept, kept. Sets the
        ending's error where it has no end.
        """
        if ending.error is not None:
            return b""
        try:
            last = reader.closing(usage)
        except UnreadableAnswer:
            ending.error = UpstreamFailed("the end of the provider's answer cannot be read")
            return b""
        if one.call.keeps and not await self._remember(one, usage, reader, last):
            ending.error = Overloaded("where the answer is kept could not be recorded")
        return last

    async def _remember(
        self, one: Delivering, usage: Usage, answer: Answer | StreamReader, told: bytes
    ) -> bool:
        """Where an answer is kept, before the client can ask for it again; False if that cannot be
        recorded.
        """
        opened = one.opened
        answered_by = AnsweredBy(
            opened.candidate.channel_id, opened.key_id, opened.translator.retells
        )
        finding = Keeping(one.charge.opening, answered_by, one.call, usage)
        kept = finding.of(self._format.translation, answer, told)
        return kept is None or await self._kept.remember(*kept)

    def _settle(self, one: Delivering, metered: Metered, ending: str) -> Settle:
        """The command that closes the charge: priced in the service that answered."""
        opening, opened = one.charge.opening, one.opened
        channel_id, upstream_model = opened.candidate.channel_id, opened.upstream_model
        service, anomaly = _billed_service(one, metered)
        cost, cost_anomaly = self._costs.of(channel_id, upstream_model, metered.usage, service)
        return Settle(
            usage=metered.usage,
            price=one.price,
            basis=metered.basis,
            ending=ending,
            channel_id=channel_id,
            upstream_model=upstream_model,
            node=opening.node,
            boot=opening.boot,
            attempts=opened.final_attempts(_outcome(opened, ending)),
            anomaly=",".join(filter(None, (metered.anomaly, anomaly, cost_anomaly))),
            ttft_ms=opened.ttft_ms,
            duration_ms=elapsed_ms(opened.started_s),
            covered_nanos=None if metered.is_plausible else 0,
            service=service,
            cost=cost,
        )

    def watch(self, exchange: Exchange, deadline: Deadline) -> None:
        """When the client of a call leaves, its answer is read on within bounds."""
        exchange.watch(partial(self._begin_drain, deadline))

    def unwatch(self, exchange: Exchange, deadline: Deadline) -> None:
        """The call is over."""
        exchange.unwatch()
        self._draining.discard(deadline)

    def _begin_drain(self, deadline: Deadline) -> None:
        """The client left: read on for the provider's usage, within bounds."""
        if len(self._draining) < self._drains.at_once_max:
            self._draining.add(deadline)
            deadline.at_most(self._drains.within_s, _DRAINED)
        else:
            deadline.at_most(0.0, "client_gone")


def _outcome(opened: Opened, ending: str) -> str:
    if opened.failure is not None:
        return "failed"
    return "answered" if ending == "complete" else "cut"


def _lost(opened: Opened) -> list[tuple[bytes, bytes]]:
    """The header that names what of the request the provider's format could not say."""
    if not opened.losses:
        return []
    return [(b"x-tollgate-lost", header_list(opened.losses, _LOST_BYTES_MAX))]


def _billed_service(one: Delivering, metered: Metered) -> tuple[str, str]:
    """The service whose price is charged, and what is wrong with it.

    One that answers and has no price is never charged as the standard by mistake: it costs what
    the dearest does, and is told of.
    """
    if metered.service is None:
        return one.charge.opening.terms.service, ""
    if metered.service == STANDARD or metered.service in one.price.services:
        return metered.service, ""
    log.warning(
        "delivery.unpriced_service",
        request_id=one.exchange.request_id,
        model=one.call.model,
        service=metered.service[:40],
    )
    return dearest_service(metered.usage, one.price), UNPRICED_SERVICE
