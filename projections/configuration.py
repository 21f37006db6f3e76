"""Configuration in memory: what every worker knows without asking, at most a second old.

Channels, prices, groups, settings and users are few and held whole, as folds of their streams.
Accounts and keys are many: they are read when first needed, straight from their streams (so never
from a read model that lags), kept, and forgotten when an event says that they changed.
"""

import asyncio
import re
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, cast
from uuid import UUID

import psycopg
import structlog
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from ledger import clock
from ledger.admission_bounds import CONFIGURATION_STALE_AFTER_S
from ledger.book_days import TIME_ZONE_SETTING, BookDays, calendar
from ledger.ids import key_digest
from ledger.pricing import Multiplier
from ledger.store.reader import RECORDED_COLUMNS, Recorded, read_state, recorded
from ledger.streams import account, api_key, channel, group, price, setting, user
from ledger.streams.contract import AccountEvent, Stream

log = structlog.get_logger()

SHRINKS_HOLDS_SETTING = "calls.shrink_holds"
"""Whether a call that sets no limit of its own is sent with one that its account can pay for."""

ATTEMPTS_SETTING = "calls.attempts"
"""How often one call is sent to providers at most, whatever channels and keys there are."""

ATTEMPTS_WITHIN_SETTING = "calls.attempts_within_seconds"
"""For how long after its beginning a call may be sent to another."""

POLL_S = 0.25
_READ_WITHIN_S = 0.9
_LOOKED_EVERY_S = 0.01
_GIVEN_UP_AFTER_S = 10.0
_CACHED_MAX = 50_000
_STRANGERS_MAX = 5_000
_WITHOUT_PREFIX = re.compile(r"[A-Za-z0-9]{48}", re.ASCII)

_NO_CONFIGURATION = frozenset({"adjustment", "seal", "restore"})
"""Streams whose events come by as well, and say nothing of it."""

# The condition is the one of the index event_configuration, so that only its part is read.
_CHANGES = (
    f"select {RECORDED_COLUMNS} from ledger.event "  # noqa: S608 - constants only
    "where topic not like 'charge.%%' and topic not like 'credit.%%' and position > %s "
    "order by position limit 5000"
)


class Caller(NamedTuple):
    """Who a key speaks for, and what both may do."""

    key: api_key.ApiKey
    account: account.Account

    @property
    def group(self) -> str:
        """The price group: the key's own, else its account's."""
        return self.key.terms.group or self.account.group


@dataclass(slots=True)
class Held:
    """The folds that are held whole; replaced entry by entry, never half changed."""

    channels: dict[UUID, channel.Channel] = field(default_factory=dict)
    prices: dict[str, price.PriceHistory] = field(default_factory=dict)
    costs: dict[tuple[str, str], price.PriceHistory] = field(default_factory=dict)
    """By book and upstream model: what channels charge us."""
    drafts: dict[tuple[str, str], price.PriceHistory] = field(default_factory=dict)
    """By book and model: prices that nobody is charged by."""
    groups: dict[str, group.Group] = field(default_factory=dict)
    settings: dict[str, setting.Setting] = field(default_factory=dict)
    zones: list[tuple[datetime, str]] = field(default_factory=list)
    """When the books' time zone was set to what, oldest first."""
    days: BookDays = field(default_factory=BookDays)
    """What follows from them."""
    keys_changed_at: dict[UUID, datetime] = field(default_factory=dict)
    """When the state of a channel's key was last changed, by the database's clock."""
    users: dict[UUID, user.User] = field(default_factory=dict)


class Configuration:
    """The configuration as of `position`; follow it with `run`."""

    def __init__(self, dsn: str, pool: AsyncConnectionPool[Any]) -> None:
        self._dsn = dsn
        self._pool = pool
        self._callers: OrderedDict[str, Caller | None] = OrderedDict()
        self._strangers: OrderedDict[str, None] = OrderedDict()
        self._reading: dict[str, asyncio.Task[Caller | None]] = {}
        self._followed_s = 0.0
        self._refreshing: asyncio.Task[None] | None = None
        self._digests_of: dict[UUID, set[str]] = {}
        self._forgotten = 0
        self.held = Held()
        self.position = 0
        self.version = 0
        """Grows with every change of channels, prices or groups: what depends on them is stale."""

    async def load(self) -> None:
        """Read everything there is. Raises psycopg.OperationalError when the database is away."""
        async with self._pool.connection() as connection:
            await self._catch_up(connection)
        self._followed_s = clock.monotonic_s()

    async def run(self) -> None:
        """Follow the log for ever; reconnects by itself."""
        while True:
            try:
                await self._follow()
            except (psycopg.Error, TimeoutError, OSError) as error:
                log.warning("configuration.disconnected", error=repr(error))
                await asyncio.sleep(POLL_S)

    @property
    def is_fresh(self) -> bool:
        """Whether the log was followed to its head a moment ago: so long its word counts."""
        return clock.monotonic_s() - self._followed_s < CONFIGURATION_STALE_AFTER_S

    async def refreshed(self) -> bool:
        """Fresh by reading the log now, once for all who ask: whoever follows it may be stuck."""
        self._refreshing = self._refreshing or asyncio.create_task(self._refresh())
        await asyncio.wait((self._refreshing,), timeout=_READ_WITHIN_S)
        return self.is_fresh

    async def _refresh(self) -> None:
        begun_s = clock.monotonic_s()
        try:
            async with self._pool.connection() as connection:
                await self._catch_up(connection)
            self._followed_s = max(self._followed_s, begun_s)
        except (psycopg.Error, PoolTimeout, OSError) as error:
            log.warning("configuration.not_read", error=repr(error))
        finally:
            self._refreshing = None

    @property
    def shrinks_holds(self) -> bool:
        """What SHRINKS_HOLDS_SETTING says; yes where nobody set it."""
        setting = self.held.settings.get(SHRINKS_HOLDS_SETTING)
        return setting is None or setting.value != "no"

    def number(self, name: str, default: int) -> int:
        """What a setting says that is a whole number."""
        setting = self.held.settings.get(name)
        return int(setting.value) if setting is not None and setting.value.isdigit() else default

    async def caller(self, secret: str) -> Caller | None:
        """Who presents this key; None where no such key was issued. A key may be presented without
        what all of them begin with: other gateways show theirs so.

        What is known is believed only while the log can be followed.
        Raises psycopg.Error and PoolTimeout when it is not known and cannot be read in time.
        """
        found = await self._caller(key_digest(secret))
        if found is None and _WITHOUT_PREFIX.fullmatch(secret):
            found = await self._caller(key_digest(f"sk-{secret}"))
        return found

    async def _caller(self, digest: str) -> Caller | None:
        if self.is_fresh:
            if digest in self._callers:
                self._callers.move_to_end(digest)
                return self._callers[digest]
            if digest in self._strangers:
                return None
        reading = self._reading.get(digest)
        if reading is None:
            reading = self._reading[digest] = asyncio.create_task(self._find_caller(digest))
            reading.add_done_callback(lambda _: self._reading.pop(digest, None))
        # Not cancelled when it is late: a cancelled query may take longer than its answer.
        await asyncio.wait((reading,), timeout=_READ_WITHIN_S)
        if not reading.done():
            raise PoolTimeout("the ledger does not answer in time")
        return reading.result()

    async def _find_caller(self, digest: str) -> Caller | None:
        while True:
            seen = self._forgotten
            found = await self._read_caller(digest)
            if seen == self._forgotten:
                break  # nothing changed while we read: what we read is still true
        self._remember(digest, found)
        return found

    async def account(self, account_id: UUID) -> account.Account:
        """An account's state, read from its stream."""
        async with self._pool.connection() as connection:
            state = await read_state(connection, account.STREAM, account_id)
        return cast("account.Account", state)

    def multiplier(self, group_name: str, own_group: str = "") -> Multiplier:
        """What is paid in a group by members of another (or of none in particular); a group nobody
        set pays the list price.
        """
        held = self.held.groups.get(group_name)
        if held is None:
            return Multiplier()
        return held.for_members.get(own_group, held.multiplier)

    async def await_prices(self, model: str, known_version: int) -> None:
        """Return once more of a model's prices is known than that, or after a second."""
        deadline_s = clock.monotonic_s() + _READ_WITHIN_S
        while clock.monotonic_s() < deadline_s:
            history = self.held.prices.get(model)
            if history is not None and history.version > known_version:
                return
            await asyncio.sleep(_LOOKED_EVERY_S)

    def cost_price(
        self, channel_id: UUID, model: str, moment_us: int
    ) -> tuple[int, price.PriceSet] | None:
        """Version and price of what a channel takes for an upstream model, where one is known:
        its own price, else the one for all channels.
        """
        costs = self.held.costs
        if not costs:
            return None
        for book in (price.cost_book(channel_id), price.COST):
            history = costs.get((book, model))
            found = None if history is None else history.at(moment_us)
            if found is not None:
                return found
        return None

    async def _read_caller(self, digest: str) -> Caller | None:
        try:
            async with (
                asyncio.timeout(_GIVEN_UP_AFTER_S),  # a database may also answer nothing
                self._pool.connection(timeout=_READ_WITHIN_S) as connection,
            ):
                key = await read_state(connection, api_key.STREAM, api_key.key_id(digest))
                if key.issued is None:
                    return None
                owner = await read_state(connection, account.STREAM, key.issued.account_id)
        except TimeoutError as error:
            raise psycopg.OperationalError("the key cannot be looked up in time") from error
        return Caller(key, owner)

    def _remember(self, digest: str, found: Caller | None) -> None:
        """Keep it until an event says otherwise; strangers have a room of their own, so that a
        flood of invented keys drives nobody else out.
        """
        if found is None:
            self._strangers[digest] = None
        else:
            self._callers[digest] = found
        for stream_id in _streams_of(digest, found):
            self._digests_of.setdefault(stream_id, set()).add(digest)
        while len(self._callers) > _CACHED_MAX:
            self._forget(next(iter(self._callers)))
        while len(self._strangers) > _STRANGERS_MAX:
            self._forget(next(iter(self._strangers)))

    def _forget(self, digest: str) -> None:
        found = self._callers.pop(digest, None)
        self._strangers.pop(digest, None)
        for stream_id in _streams_of(digest, found):
            digests = self._digests_of.get(stream_id, set())
            digests.discard(digest)
            if not digests:
                self._digests_of.pop(stream_id, None)

    async def _follow(self) -> None:
        connection = await psycopg.AsyncConnection.connect(
            self._dsn, autocommit=True, connect_timeout=3
        )
        async with connection:
            await connection.execute("listen ledger_configuration")
            while True:
                async with asyncio.timeout(CONFIGURATION_STALE_AFTER_S):
                    await self._catch_up(connection)
                self._followed_s = clock.monotonic_s()
                async for _ in connection.notifies(timeout=POLL_S, stop_after=1):
                    pass

    async def _catch_up(self, connection: psycopg.AsyncConnection[Any]) -> None:
        while True:
            found = await connection.execute(_CHANGES, (self.position,), binary=True)
            rows = await found.fetchall()
            for one in map(recorded, rows):
                if one.position > self.position:  # another reading may have been faster
                    self._apply(one)
            if len(rows) < 5000:
                return

    def _apply(self, one: Recorded) -> None:
        stream = one.topic.partition(".")[0]
        if stream not in _NO_CONFIGURATION:
            self._take_in(stream, one)
        self.position = one.position

    def _take_in(self, stream: str, one: Recorded) -> None:
        event = one.event
        held = self.held
        self.version += not isinstance(event, AccountEvent)
        match stream:
            case "channel":
                _fold(channel.STREAM, held.channels, one.stream_id, one)
                if isinstance(event, channel.ChannelKeyStateChanged):
                    held.keys_changed_at[event.key_id] = one.recorded_at
            case "price":
                price_set = cast("price.PriceSet", event)
                if price_set.book == price.SALE:
                    _fold(price.STREAM, held.prices, price_set.model, one)
                elif price_set.book.partition("/")[0] == price.COST:
                    _fold(price.STREAM, held.costs, (price_set.book, price_set.model), one)
                else:
                    _fold(price.STREAM, held.drafts, (price_set.book, price_set.model), one)
            case "group":
                _fold(group.STREAM, held.groups, cast("group.GroupSet", event).name, one)
            case "setting":
                _take_in_setting(held, cast("setting.SettingChanged", event), one)
            case "user":
                _fold(user.STREAM, held.users, one.stream_id, one)
            case _:
                assert isinstance(event, AccountEvent)
                self._forgotten += 1
                for digest in list(self._digests_of.get(one.stream_id, ())):
                    self._forget(digest)


def _streams_of(digest: str, found: Caller | None) -> tuple[UUID, ...]:
    """The streams whose events make a remembered caller stale."""
    key_stream = api_key.key_id(digest)
    if found is None or found.key.issued is None:
        return (key_stream,)
    return (key_stream, found.key.issued.account_id)


def _take_in_setting(held: Held, change: setting.SettingChanged, one: Recorded) -> None:
    _fold(setting.STREAM, held.settings, change.name, one)
    if change.name == TIME_ZONE_SETTING:
        held.zones.append((one.recorded_at, change.value))
        held.days = calendar(held.zones)


def _fold(stream: Stream, states: dict[Any, Any], name: object, one: Recorded) -> None:
    before = states.get(name) or stream.initial()
    states[name] = stream.evolve(before, one.event)
