"""Whether a call may be made: who may serve it, on which terms, and what it can cost at most."""

import sys
from collections.abc import Mapping, Sequence
from functools import lru_cache

import msgspec
from msgspec.structs import replace

from gateway.call.callers import Caller
from gateway.call.failover import Failover
from gateway.call.parts import Parts
from gateway.call.smaller_hold import OUTPUT_TOKENS_LEAST, affordable_tokens, worst_nanos
from gateway.channels.routing import (
    Candidate,
    candidates,
    is_listed,
    named_candidate,
    only_at,
    suffixed,
)
from gateway.errors import (
    InvalidRequest,
    KeyNotAllowed,
    ProviderUnavailable,
    ServiceNotPriced,
    UnknownModel,
)
from gateway.formats.contract import Format
from gateway.formats.values import ChatCall, Prompt
from gateway.http.raw_members import edited
from gateway.stored_responses.earlier import with_earlier
from ledger import clock
from ledger.pricing import STANDARD, Price, worst_case_nanos
from ledger.store.append import Guard
from ledger.streams.charge.events import Cover, Terms
from ledger.streams.charge.rules import Reserve
from ledger.streams.price import price_stream_id
from ledger.windows import windows

OUTPUT_TOKENS_DEFAULT = 4_096
"""Held for the answer where neither the client nor the model sets a limit."""


_price_stream_id = lru_cache(maxsize=4_096)(price_stream_id)

_ADDED_MESSAGE_TOKENS = 16
"""What surrounds a system prompt, in any format."""


_Served = tuple[str, tuple[Candidate, ...]]
"""The name of the model that is sold, and who may serve it."""


class Admission(msgspec.Struct, frozen=True):
    """A call that may be made: who pays, on what terms, what it can cost, and who may serve it."""

    call: ChatCall
    caller: Caller
    price: Price
    reserve: Reserve
    prices: Guard
    """All that was known of the model's prices."""
    options: Sequence[Candidate]
    is_limited_here: bool = False
    """Whether the limit of its output tokens is ours: all that its account can pay for."""


class Admissions:
    """Admits one format's calls."""

    def __init__(self, client_format: Format, parts: Parts, failover: Failover) -> None:
        self._format = client_format
        self._failover = failover
        self._configuration = parts.configuration
        self._tokenizer = parts.tokenizer
        self._providers = parts.providers
        self._kept = parts.stored_responses
        self._lease = parts.lease
        self._options: dict[tuple[str, str], _Served] = {}
        self._options_version = -1

    async def admit(self, caller: Caller, call: ChatCall) -> Admission:
        """Choose who may serve the call, freeze its price, and bound what it can cost.

        Raises UnknownModel, KeyNotAllowed, ServiceNotPriced, InvalidRequest; and
        ProviderUnavailable or UpstreamRateLimited where no channel has a key that may be asked now.
        """
        sold_as, options = self._options_for(caller, call.model)
        allowed = caller.terms.models
        if allowed is not None and not {call.model, sold_as}.intersection(allowed):
            raise KeyNotAllowed(f"this API key may not use the model {call.model!r}")
        now_us = clock.now_us()
        prices = self._configuration.held.prices
        priced_as = call.model if call.model in prices else sold_as
        history = prices.get(priced_as)
        priced = history.at(now_us) if history else None
        if not options or history is None or priced is None:
            if priced is not None and self._is_served(caller.group, call.model):
                raise ProviderUnavailable  # by channels whose keys no provider takes now
            raise UnknownModel(f"the model {call.model!r} does not exist or is not available here")
        if call.continues or call.refers_to:
            call, options = await self._continued(caller, call, options)
        unavailable = self._failover.unavailable(options)
        if unavailable is not None:
            raise unavailable  # before anything is held for a call that nobody can take
        call = self._with_room(call, options)
        version, event = priced
        terms = Terms(
            model=priced_as,
            group=caller.group,
            price_version=version,
            multiplier=self._configuration.multiplier(caller.group, caller.own_group),
            service=_sold_service(call, event.price),
        )
        prompt = self._format.prompt(call)
        input_tokens = await self._tokenizer.count_bounded(call.model, prompt)
        input_tokens += await self._most_added_tokens(call.model, options)
        sent_tokens = self._failover.requests.output_tokens_sent(call, options)
        output_tokens = (sent_tokens or OUTPUT_TOKENS_DEFAULT) * call.choices
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
            node=self._lease.node,
            boot=self._lease.boot,
            dialect=self._format.name,
            streaming=call.stream,
            input_tokens_estimated=input_tokens,
            output_tokens_max=output_tokens,
            tool_calls_max=_priced(prompt.tool_calls, event.price, terms.service),
        )
        known = Guard(_price_stream_id(priced_as), history.version)
        return Admission(call, caller, event.price, reserve, known, options)

    def smaller(self, admission: Admission, available_nanos: int) -> Admission | None:
        """The same call with a limit that half of what is there pays for, where its client set
        none; None where nothing can be done for it.
        """
        call, reserve = admission.call, admission.reserve
        is_free = admission.is_limited_here or call.max_output_tokens is None
        if not is_free or call.variant or not self._configuration.shrinks_holds:
            return None
        least = max(
            OUTPUT_TOKENS_LEAST, self._failover.requests.output_tokens_least(admission.options)
        )
        tokens = affordable_tokens(reserve, admission.price, available_nanos, least * call.choices)
        if tokens is None:
            return None
        limit = tokens // call.choices
        held_tokens = limit * call.choices
        members = self._format.limit_members(call, limit)
        return Admission(
            replace(
                call,
                max_output_tokens=limit,
                document={**call.document, **members},
                body=edited(call.body, members),
            ),
            admission.caller,
            admission.price,
            replace(
                reserve,
                hold_nanos=worst_nanos(reserve, admission.price, held_tokens),
                output_tokens_max=held_tokens,
            ),
            admission.prices,
            admission.options,
            is_limited_here=True,
        )

    async def _continued(
        self, caller: Caller, call: ChatCall, options: Sequence[Candidate]
    ) -> tuple[ChatCall, tuple[Candidate, ...]]:
        """The call with what it goes on from, and who may serve it: the place where that is kept.

        Raises InvalidRequest.
        """
        call, place = await with_earlier(self._kept, caller.account_id, call)
        there = tuple(options) if place is None else only_at(options, *place)
        if not there:
            raise InvalidRequest(
                f"The provider that keeps what this call goes on from does not serve the model "
                f"{call.model!r} at present: send the whole conversation in 'input'.",
                param="previous_response_id" if call.continues else "input",
                code="previous_response_unavailable",
            )
        return call, there

    def _with_room(self, call: ChatCall, options: Sequence[Candidate]) -> ChatCall:
        """The call with the limit it will be sent with: a model whose name says to think needs
        room for it, and what is sent is what is held for.
        """
        limit = call.max_output_tokens
        if limit is None:
            return call
        least = self._failover.requests.output_tokens_least(options)
        return call if limit >= least else replace(call, max_output_tokens=least)

    async def _most_added_tokens(self, model: str, options: Sequence[Candidate]) -> int:
        """The most that a channel may add, with its system prompt and overrides: whoever serves the
        call, the hold covers it.
        """
        if not any(_adds_words(option) for option in options):
            return 0
        counted = [
            await self._tokenizer.count_bounded(model, Prompt((words,), _ADDED_MESSAGE_TOKENS))
            for words in await self._failover.requests.own_words(options)
        ]
        return max(counted, default=0)

    def _options_for(self, caller: Caller, model: str) -> _Served:
        """Who may serve the call; where the caller names a channel, that one alone.

        Raises InvalidRequest where the channel cannot be asked.
        """
        if caller.channel_id is None:
            return self._candidates(caller.group, model)
        channel = self._configuration.held.channels.get(caller.channel_id)
        named = None
        if channel is not None:
            named = named_candidate(caller.channel_id, channel, model, self._needs_key)
        if named is None:
            raise InvalidRequest(
                f"the channel {caller.channel_id} does not exist or is not asked at present",
                code="channel_unavailable",
            )
        return model, (named,)

    def _candidates(self, group: str, model: str) -> _Served:
        """Who may serve this model to this group; remembered until the configuration changes."""
        if self._options_version != self._configuration.version:
            self._options.clear()
            self._options_version = self._configuration.version
        found = self._options.get((group, model))
        if found is None:
            found = self._found(group, model)
            if found[1]:  # what does not exist is anybody's word, and not remembered
                self._options[group, model] = found
        return found

    def _found(self, group: str, model: str) -> _Served:
        """An ending that says how to think works wherever its model does."""
        channels = self._configuration.held.channels
        listed = candidates(channels, group, model, self._needs_key)
        if listed:
            return model, listed
        for name, ended in suffixed(channels, group, model, self._needs_key):
            ending = model.removeprefix(name)
            thinking = tuple(
                each
                for each in ended
                if self._failover.requests.own_model(each)
                == each.upstream_model.removesuffix(ending)
            )
            if thinking:
                return name, thinking
        return model, ()

    def _is_served(self, group: str, model: str) -> bool:
        return is_listed(self._configuration.held.channels.values(), group, model)

    def _needs_key(self, provider: str) -> bool:
        known = self._providers.get(provider)
        return known is None or known.needs_key

    def _cover(self, caller: Caller, now_us: int) -> Cover:
        return Cover(
            account_id=caller.account_id,
            key_id=caller.key_id,
            overdraft_nanos=caller.limits.overdraft_nanos,
            key_limit_nanos=caller.terms.limit_nanos,
            windows=windows(
                caller.account_id, caller.limits, now_us, self._configuration.held.days
            ),
        )


def _adds_words(option: Candidate) -> bool:
    added = (option.shaping.system_prompt_id, option.overrides.parameters_id)
    return added != (None, None)


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
