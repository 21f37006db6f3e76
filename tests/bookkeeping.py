"""What tests do with the books: make accounts, keys, channels and prices, and read what happened.

Everything goes through the ledger's own commands, on an event loop in a thread, so that plain tests
can use it beside a gateway that runs in this process or in others.
"""

import asyncio
import threading
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

import msgspec
import uvloop

from ledger import vault
from ledger.ids import entity_id, key_digest
from ledger.pricing import Multiplier, Price
from ledger.store.reader import RECORDED_COLUMNS, Balance, Recorded, read_balance, recorded
from ledger.streams import account, api_key, channel, credit, group, price
from ledger.streams.charge.events import QuotaReserved, RefundIssued, UsageSettled
from ledger.streams.contract import Stream
from ledger.streams.routes import KeyChoice, Route, Shaping, Way
from ledger.vault import Place
from tollgate.core import Core

Result = TypeVar("Result")

ACTOR = "test"
USD = 1_000_000_000
"""Nanodollars."""


class LoopThread:
    """An event loop of its own thread; `run` waits for a coroutine on it."""

    def __init__(self) -> None:
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._turn, name="test-loop", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Result], within_s: float = 60.0) -> Result:
        return self.start(work).result(within_s)

    def start(self, work: Coroutine[Any, Any, Result]) -> "Future[Result]":
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _turn(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()


@dataclass(frozen=True, slots=True)
class Payer:
    """An account with money and a key to it."""

    account_id: UUID
    key: str

    @property
    def key_id(self) -> UUID:
        return api_key.key_id(key_digest(self.key))


@dataclass(frozen=True, slots=True)
class ChargeStory:
    """One charge as the log tells it."""

    events: tuple[Recorded, ...]

    @property
    def opening(self) -> QuotaReserved:
        first = self.events[0].event
        assert isinstance(first, QuotaReserved)
        return first

    @property
    def closing(self) -> UsageSettled | RefundIssued:
        closings = [
            one.event for one in self.events if isinstance(one.event, UsageSettled | RefundIssued)
        ]
        assert len(closings) == 1, f"{len(closings)} closing events"
        return closings[0]

    @property
    def settled(self) -> UsageSettled:
        assert isinstance(self.closing, UsageSettled), self.closing
        return self.closing

    @property
    def refunded(self) -> RefundIssued:
        assert isinstance(self.closing, RefundIssued), self.closing
        return self.closing

    @property
    def names(self) -> list[str]:
        return [type(one.event).__name__ for one in self.events]


class Books:
    """The ledger in the hands of a test. `await_seen` returns once callers see a position."""

    def __init__(self, loop: LoopThread, core: Core, await_seen: Callable[[int], None]) -> None:
        self._loop = loop
        self._core = core
        self._await_seen = await_seen

    # ------------------------------------------------------------------ making what calls need

    def payer(
        self,
        usd: float = 5,
        *,
        terms: api_key.KeyTerms | None = None,
        limits: account.SpendingLimits | None = None,
        in_group: str = "default",
    ) -> Payer:
        account_id = entity_id()
        self.command(account.STREAM, account_id, account.Open(account_id, in_group, ACTOR))
        if limits is not None:
            self.command(account.STREAM, account_id, account.SetLimits(limits, in_group, ACTOR))
        if usd:
            self.credit(account_id, round(usd * USD))
        return Payer(account_id, self.key(account_id, terms))

    def credit(self, account_id: UUID, nanos: int) -> None:
        grant = credit.Grant(account_id, nanos, "manual", uuid.uuid4().hex, ACTOR)
        self.command(credit.STREAM, entity_id(), grant)

    def key(self, account_id: UUID, terms: api_key.KeyTerms | None = None) -> str:
        secret = f"sk-{uuid.uuid4().hex}{uuid.uuid4().hex[:16]}"
        digest = key_digest(secret)
        issue = api_key.Issue(
            account_id, digest, secret[:7], secret[-4:], terms or api_key.KeyTerms(), ACTOR
        )
        self.command(api_key.STREAM, api_key.key_id(digest), issue)
        return secret

    def channel(
        self,
        models: Sequence[str] | Mapping[str, str],
        *,
        type_: str = "echo",
        base_url: str = "",
        keys: Sequence[str] = (),
        key_choice: KeyChoice = "random",
        groups: tuple[str, ...] = ("default",),
        priority: int = 0,
        weight: int = 1,
        settings: Mapping[str, str] | None = None,
        shaping: Shaping | None = None,
        system_prompt: str = "",
        way: Way | None = None,
    ) -> UUID:
        """With a `system_prompt`, the channel's shaping names the id under which it is sealed."""
        channel_id = entity_id()
        key_ids = tuple(entity_id() for _ in keys)
        self._loop.run(self._seal(channel_id, dict(zip(key_ids, keys, strict=True))))
        shaping = shaping or Shaping()
        if system_prompt:
            text_id = entity_id()
            self._loop.run(self._seal_text(channel_id, text_id, system_prompt))
            shaping = msgspec.structs.replace(shaping, system_prompt_id=text_id)
        mapping = dict(models) if isinstance(models, Mapping) else {name: name for name in models}
        route = Route(
            type=type_,
            base_url=base_url,
            models=mapping,
            groups=groups,
            priority=priority,
            weight=weight,
            key_ids=key_ids,
            key_choice=key_choice,
            settings=dict(settings or {}),
            shaping=shaping,
            way=way or Way(),
        )
        self.command(channel.STREAM, channel_id, channel.Add(channel_id, route, ACTOR), seen=True)
        return channel_id

    def remove_channel(self, channel_id: UUID) -> None:
        self.command(channel.STREAM, channel_id, channel.Remove(ACTOR), seen=True)

    def price(self, model: str, **usd_per_million: float) -> None:
        """Prices in USD per million tokens by class; `calls` in USD per call."""
        rates = {kind: round(usd * USD) for kind, usd in usd_per_million.items()}
        command = price.SetPrice(model, Price(rates=rates), 0, ACTOR)
        self.command(price.STREAM, price.price_stream_id(model), command, seen=True)

    def group(self, name: str, multiplier: Multiplier) -> None:
        command = group.SetGroup(name, multiplier, ACTOR)
        self.command(group.STREAM, group.group_stream_id(name), command, seen=True)

    def command(
        self, stream: Stream, stream_id: UUID, command: object, *, seen: bool = False
    ) -> None:
        appended = self._loop.run(self._core.ledger.handle(stream, stream_id, command))
        if appended is None:
            return
        self._loop.run(_awaited(appended.published))
        if seen:
            self._await_seen(appended.positions[-1])

    # ------------------------------------------------------------------ reading what happened

    def story(self, request_id: str | UUID) -> ChargeStory:
        events = self._loop.run(self._core.ledger.events(UUID(str(request_id))))
        return ChargeStory(tuple(events))

    def stories(self, account_id: UUID) -> list[ChargeStory]:
        """Every charge of an account, in the order of their opening."""
        by_stream: dict[UUID, list[Recorded]] = {}
        for one in self.log():
            if one.account_id == account_id and one.topic.startswith("charge."):
                by_stream.setdefault(one.stream_id, []).append(one)
        return [ChargeStory(tuple(events)) for events in by_stream.values()]

    def balance(self, account_id: UUID) -> Balance:
        found = self._loop.run(self._balance(account_id))
        assert found is not None
        return found

    def log(self) -> list[Recorded]:
        """Every event there is."""
        return self._loop.run(self._log())

    async def _seal(self, channel_id: UUID, keys: Mapping[UUID, str]) -> None:
        async with self._core.pool.connection() as connection:
            for key_id, key in keys.items():
                place = Place("channel_key", key_id, "key", channel_id)
                await vault.put(connection, self._core.vault, place, key)

    async def _seal_text(self, channel_id: UUID, text_id: UUID, text: str) -> None:
        async with self._core.pool.connection() as connection:
            place = Place("channel_text", text_id, "text", channel_id)
            await vault.put(connection, self._core.vault, place, text)

    async def _balance(self, scope: UUID) -> Balance | None:
        async with self._core.pool.connection() as connection:
            return await read_balance(connection, scope)

    async def _log(self) -> list[Recorded]:
        async with self._core.pool.connection() as connection:
            cursor = await connection.execute(
                f"select {RECORDED_COLUMNS} from ledger.event order by position", binary=True
            )
            return [recorded(row) for row in await cursor.fetchall()]


async def _awaited(one: Awaitable[bool]) -> bool:
    return await one


def assert_counted_input(story: ChargeStory) -> None:
    """Without a provider's word the input is what is likely to have been read of what was sent.

    The hold errs upwards: it covered half as much again, for the tokenizer of the models here is
    not one of ours, and more for what surrounds messages.
    """
    bound = story.opening.input_tokens_estimated
    assert bound // 3 <= story.settled.usage.input <= bound
