"""How long a stream may go on: what its hold covers, and what the client asked for."""

import asyncio

from gateway.call.charges.open_charge import OpenCharge
from gateway.errors import Overloaded
from gateway.formats.contract import StreamReader
from gateway.formats.values import ChatCall
from ledger.pricing import STANDARD, Price, worst_case_nanos

_MORE_OUTPUT_TOKENS = 4_096
"""How much further a stream is covered each time its hold grows."""
_LOOK_AGAIN_TOKENS = 64
_BEYOND_LIMIT_TOKENS = 256


class RunningCover:
    """Grows the hold of a stream before what it delivers outgrows it.

    Where the client set a limit the hold covers it and grows only beyond; where it did not, the
    hold grows from 80% on.
    """

    def __init__(
        self, call: ChatCall, charge: OpenCharge, price: Price, reader: StreamReader
    ) -> None:
        self._charge = charge
        self._price = price
        self._reader = reader
        self._percent = 100 if call.max_output_tokens is not None else 80
        self._look_at_tokens = self._covered(self._percent)

    async def holds(self) -> bool:
        """Whether the output so far is covered; the hold grows if it must and may.

        The reader's estimate is cheap and may be too high: nothing is decided by it, it only
        says when to count.
        """
        estimated_tokens = self._reader.output_tokens_at_least()
        if estimated_tokens <= self._look_at_tokens or self._charge.held_nanos == 0:
            return True
        counted_tokens = await asyncio.to_thread(self._reader.delivered.count)
        if counted_tokens > self._covered(self._percent) and not await self._grow(counted_tokens):
            return False
        room_tokens = self._covered(self._percent) - counted_tokens
        self._look_at_tokens = estimated_tokens + max(_LOOK_AGAIN_TOKENS, room_tokens)
        return True

    async def _grow(self, counted_tokens: int) -> bool:
        more_nanos = self._worst_case(_MORE_OUTPUT_TOKENS) - self._worst_case(0)
        try:
            return not more_nanos or await self._charge.extend(more_nanos)
        except Overloaded:
            if counted_tokens > self._covered(100):
                raise
            return True  # what is held still lasts: ask again

    def _covered(self, percent: int) -> int:
        """How many output tokens that share of the hold covers beside the input."""
        input_nanos = self._worst_case(0)
        for_output = self._charge.held_nanos * percent // 100 - input_nanos
        per_million = self._worst_case(1_000_000) - input_nanos
        if per_million == 0:
            return 1 << 62
        return max(0, for_output) * 1_000_000 // per_million

    def _worst_case(self, output_tokens: int) -> int:
        """With the whole prompt: a long one makes the output dearer as well."""
        opening = self._charge.opening
        return worst_case_nanos(
            self._price,
            opening.terms.multiplier,
            input_tokens=opening.input_tokens_estimated,
            output_tokens=output_tokens,
            tool_calls=opening.tool_calls_max,
            service=self._service,
        )

    @property
    def _service(self) -> str:
        """The one that answers, as far as it is known and priced."""
        told = self._reader.service
        is_sold = told is not None and (told == STANDARD or told in self._price.services)
        return told if told is not None and is_sold else self._charge.opening.terms.service


class OutputLimit:
    """The client's own limit, with room for a tokenizer that is not ours: a provider that goes on
    far beyond it does not mean to end.
    """

    def __init__(self, call: ChatCall, reader: StreamReader) -> None:
        self._reader = reader
        limit = call.max_output_tokens
        beyond = _BEYOND_LIMIT_TOKENS
        self._tokens_max = None if limit is None else limit * call.choices * 3 // 2 + beyond
        self._look_at_tokens = self._tokens_max or 0

    async def is_exceeded(self) -> bool:
        """Decided by counting; the reader's cheap estimate only says when to count."""
        if self._tokens_max is None:
            return False
        estimated_tokens = self._reader.output_tokens_at_least()
        if estimated_tokens <= self._look_at_tokens:
            return False
        counted_tokens = await asyncio.to_thread(self._reader.delivered.count)
        room_tokens = self._tokens_max - counted_tokens
        self._look_at_tokens = estimated_tokens + max(_LOOK_AGAIN_TOKENS, room_tokens)
        return room_tokens < 0
