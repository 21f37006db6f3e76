"""One paid call, top to bottom: identify, read, choose, estimate, reserve, relay, settle, end."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from zoneinfo import ZoneInfo

import msgspec
import structlog
from msgspec.structs import replace

from gateway.attempts import Asker, ChannelVault, Unanswered, elapsed_ms
from gateway.body import BodyLimits, ClientGone, read_body, require_json_type
from gateway.callers import Caller, Network, identify
from gateway.charges import ChargeBook, OpenCharge
from gateway.cutting import Cut, Cutter
from gateway.delivery import Delivering, Delivery, Drains
from gateway.errors import (
    GatewayError,
    InvalidRequest,
    KeyNotAllowed,
    ServiceNotPriced,
    UnknownModel,
)
from gateway.exchange import Exchange
from gateway.formats.contract import ChatCall, Format, Prompt, ProviderFormat
from gateway.gemini_paths import wants_array
from gateway.json_array import as_array
from gateway.kept_responses import KeptResponses
from gateway.key_refusals import KeyRefused
from gateway.media.egress import Egress
from gateway.providers.contract import Provider
from gateway.refusals import Refusals
from gateway.routing import Candidate, candidates, in_order, only_at
from gateway.strict_json import parse_off_loop
from gateway.tokens import Tokenizer
from gateway.upstream import Upstream
from gateway.windows import windows
from gateway.wires import Wires
from ledger import clock
from ledger.pricing import STANDARD, Price, worst_case_nanos
from ledger.streams.charge.events import Cover, Terms
from ledger.streams.charge.rules import Reserve
from projections.configuration import Configuration

log = structlog.get_logger()

OUTPUT_TOKENS_DEFAULT = 4_096
"""Held for the answer where neither the client nor the model sets a limit."""


_ADDED_MESSAGE_TOKENS = 16
"""What surrounds a system prompt, in any dialect."""


@dataclass(frozen=True, slots=True)
class RelayLimits:
    """What one installation allows."""

    body: BodyLimits = BodyLimits()
    drains: Drains = Drains()
    call_s: float | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """What the path of a request says, in formats where it does."""

    model: str
    stream: bool


class Admission(msgspec.Struct, frozen=True):
    """A call that may be made: who pays, on what terms, what it can cost, and who may serve it."""

    call: ChatCall
    caller: Caller
    price: Price
    reserve: Reserve
    options: Sequence[Candidate]


@dataclass(frozen=True, slots=True)
class Parts:
    """What a relay works with; one of each per process."""

    configuration: Configuration
    book: ChargeBook
    upstream: Upstream
    vault: ChannelVault
    tokenizer: Tokenizer
    providers: Mapping[str, Provider]
    formats: Mapping[str, ProviderFormat]
    refusals: Refusals
    cutter: Cutter
    kept: KeptResponses
    key_refused: KeyRefused
    egress: Egress


class Relay:
    """Serves one wire format's calls."""

    def __init__(
        self,
        wire: Format,
        parts: Parts,
        trusted_proxies: Sequence[Network] = (),
        limits: RelayLimits = RelayLimits(),
    ) -> None:
        self._wire = wire
        self._configuration = parts.configuration
        self._book = parts.book
        self._tokenizer = parts.tokenizer
        self._providers = parts.providers
        self._refusals = parts.refusals
        self._cutter = parts.cutter
        self._kept = parts.kept
        self._trusted_proxies = trusted_proxies
        self._limits = limits
        wires = Wires(wire, parts.formats)
        self._asker = Asker(
            wire.name,
            wires,
            parts.providers,
            parts.upstream,
            parts.vault,
            parts.key_refused,
            parts.egress,
        )
        cost_price = parts.configuration.cost_price
        self._delivery = Delivery(wire, parts.tokenizer, limits.drains, cost_price, parts.kept)
        self._options: dict[tuple[str, str], tuple[Candidate, ...]] = {}
        self._options_version = -1

    async def serve(self, exchange: Exchange, place: Place | None = None) -> None:
        """Answer one exchange, whatever happens. `place`: what its path says of the call."""
        caller: Caller | None = None
        model = ""
        try:
            caller = await identify(exchange, self._configuration, self._trusted_proxies)
            call = await self._read(exchange, place)
            model = call.model
            admission = await self._admit(caller, call)
            await self._book.tasks.run(self._paid(exchange, admission))
        except ClientGone:
            return
        except GatewayError as error:
            if exchange.has_started:
                raise
            self._refusals.note(exchange.charge_id, caller, model, error)
            await self._refuse(exchange, error)

    async def _read(self, exchange: Exchange, place: Place | None) -> ChatCall:
        require_json_type(exchange.headers)
        body = await read_body(exchange.headers, exchange.receive, self._limits.body)
        call = self._wire.read_request(await parse_off_loop(body), body)
        if place is not None:
            if place.stream and wants_array(exchange.query):
                exchange.send_through(as_array)
            call = replace(call, model=place.model, stream=place.stream)
        names = self._wire.forwarded_headers
        if not names:
            return call
        sent = {name: exchange.header(name.encode()) for name in names}
        return replace(call, headers={name: told for name, told in sent.items() if told})

    async def _admit(self, caller: Caller, call: ChatCall) -> Admission:
        """Choose who may serve the call, freeze its price, and bound what it can cost.

        Raises UnknownModel, KeyNotAllowed, ServiceNotPriced, InvalidRequest.
        """
        if caller.terms.models is not None and call.model not in caller.terms.models:
            raise KeyNotAllowed(f"this API key may not use the model {call.model!r}")
        now_us = clock.now_us()
        options = self._candidates(caller.group, call.model)
        history = self._configuration.held.prices.get(call.model)
        priced = history.at(now_us) if history else None
        if not options or priced is None:
            raise UnknownModel(f"the model {call.model!r} does not exist or is not available here")
        if call.continues:
            call, options = await self._continued(caller, call, options)
        call = self._with_room(call, options)
        version, event = priced
        terms = Terms(
            model=call.model,
            group=caller.group,
            price_version=version,
            multiplier=self._configuration.multiplier(caller.group, caller.own_group),
            service=_sold_service(call, event.price),
        )
        prompt = self._wire.prompt(call)
        input_tokens = await self._tokenizer.count_bounded(call.model, prompt)
        input_tokens += await self._most_added_tokens(call.model, options)
        output_tokens = (call.max_output_tokens or OUTPUT_TOKENS_DEFAULT) * call.choices
        reserve = Reserve(
            hold_nanos=worst_case_nanos(
                event.price,
                terms.multiplier,
                input_tokens=input_tokens,
                output_tokens=output_tokens,
                tool_calls=prompt.tool_calls,
                service=terms.service,
            ),
            cover=self._cover(caller, now_us),
            terms=terms,
            admitted_at_us=now_us,
            node=self._book.lease.node,
            boot=self._book.lease.boot,
            dialect=self._wire.name,
            streaming=call.stream,
            input_tokens_estimated=input_tokens,
            output_tokens_max=output_tokens,
            tool_calls_max=_priced(prompt.tool_calls, event.price, terms.service),
        )
        return Admission(call, caller, event.price, reserve, options)

    async def _continued(
        self, caller: Caller, call: ChatCall, options: Sequence[Candidate]
    ) -> tuple[ChatCall, tuple[Candidate, ...]]:
        """The call with what it goes on from counted in, and the one place where that is kept.

        Raises InvalidRequest, in OpenAI's words where nothing is kept for this account.
        """
        kept = await self._kept.find(caller.account_id, call.continues)
        if kept is None:
            raise InvalidRequest(
                f"Previous response with id '{call.continues}' not found.",
                param="previous_response_id",
                code="previous_response_not_found",
            )
        there = only_at(options, kept.channel_id, kept.channel_key_id)
        if not there:
            raise InvalidRequest(
                f"The provider that keeps the response '{call.continues}' does not serve the model "
                f"{call.model!r} at present: send the whole conversation in 'input'.",
                param="previous_response_id",
                code="previous_response_unavailable",
            )
        return replace(call, earlier_tokens=kept.context_tokens), there

    def _with_room(self, call: ChatCall, options: Sequence[Candidate]) -> ChatCall:
        """The call with the limit it will be sent with: a model whose name says to think needs
        room for it, and what is sent is what is held for.
        """
        limit = call.max_output_tokens
        if limit is None:
            return call
        least = self._asker.output_tokens_least(options)
        return call if limit >= least else replace(call, max_output_tokens=least)

    async def _most_added_tokens(self, model: str, options: Sequence[Candidate]) -> int:
        """The longest system prompt that a channel may add: whoever serves the call, the hold
        covers it.
        """
        if all(option.shaping.system_prompt_id is None for option in options):
            return 0
        counted = [
            await self._tokenizer.count_bounded(model, Prompt((words,), _ADDED_MESSAGE_TOKENS))
            for words in await self._asker.own_words(options)
        ]
        return max(counted, default=0)

    async def _paid(self, exchange: Exchange, admission: Admission) -> None:
        """From the hold to the end of the body; runs to its end whoever goes away.

        Raises InsufficientQuota or Overloaded while nothing is held; tells everything else itself.
        """
        charge = await self._book.reserve(exchange.charge_id, admission.reserve)
        with self._cutter.cut(self._limits.call_s) as cut:
            try:
                await self._relayed(exchange, admission, charge, cut)
            except GatewayError as error:
                charge.abandon("internal_error")
                if exchange.has_started:
                    raise
                await self._refuse(exchange, error)
            except BaseException:
                # A bug, or the end of the process: leave no hold open behind it.
                charge.abandon("internal_error")
                raise

    async def _relayed(
        self, exchange: Exchange, admission: Admission, charge: OpenCharge, cut: Cut
    ) -> None:
        """Ask until a candidate answers, and deliver that; nobody answered: close the charge, and
        raise.
        """
        call, price = admission.call, admission.price
        count_tokens = partial(self._tokenizer.count, call.model)
        started_s = clock.monotonic_s()
        try:
            order = in_order(admission.options)
            opened = await self._asker.first_answer(call, order, count_tokens, cut)
        except Unanswered as nobody:
            if nobody.spent is not None:
                failed = Delivering(exchange, call, price, charge, nobody.spent, cut)
                await self._delivery.charge_failed(failed)
            else:
                reason = nobody.error.code
                await charge.refund_in_time(reason, nobody.attempts, elapsed_ms(started_s))
            raise nobody.error from nobody
        await self._delivery.deliver(Delivering(exchange, call, price, charge, opened, cut))

    async def _refuse(self, exchange: Exchange, error: GatewayError) -> None:
        status, headers, body = self._wire.error_body(error, exchange.request_id)
        await exchange.respond(status, headers, body)

    def _candidates(self, group: str, model: str) -> tuple[Candidate, ...]:
        """Who may serve this model to this group; remembered until the configuration changes."""
        if self._options_version != self._configuration.version:
            self._options.clear()
            self._options_version = self._configuration.version
        found = self._options.get((group, model))
        if found is None:
            channels = self._configuration.held.channels
            found = candidates(channels, group, model, self._needs_key)
            if found:  # what does not exist is anybody's word, and not remembered
                self._options[group, model] = found
        return found

    def _needs_key(self, provider: str) -> bool:
        known = self._providers.get(provider)
        return known is None or known.needs_key

    def _cover(self, caller: Caller, now_us: int) -> Cover:
        setting = self._configuration.held.settings.get("book.time_zone")
        zone = ZoneInfo(setting.value if setting else "UTC")
        return Cover(
            account_id=caller.account_id,
            key_id=caller.key_id,
            overdraft_nanos=caller.limits.overdraft_nanos,
            key_limit_nanos=caller.terms.limit_nanos,
            windows=windows(caller.account_id, caller.limits, now_us, zone),
        )


def _priced(tool_calls: Mapping[str, int], price: Price, service: str) -> dict[str, int]:
    """The bounds that the hold has a part for: the others cost nothing."""
    if not tool_calls:
        return {}
    schedules = price.schedule(service).reachable(sys.maxsize)
    return {
        kind: count
        for kind, count in tool_calls.items()
        if any(schedule.rate(kind) for schedule in schedules)
    }


def _sold_service(call: ChatCall, price: Price) -> str:
    """The service asked for, if the model is sold in it. Raises ServiceNotPriced."""
    if call.service != STANDARD and call.service not in price.services:
        raise ServiceNotPriced(
            f"the model {call.model!r} is not available in the service tier {call.service[:40]!r}",
            param="service_tier",
        )
    return call.service
