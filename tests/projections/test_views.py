"""Every view on a log made by hand: each row is worked out on paper."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

import msgspec
import psycopg
import pytest

from ledger.ids import charge_id, derived_id
from ledger.pricing import Multiplier, Price, price_lines
from ledger.store.append import NewEvent
from ledger.streams.account import (
    AccountOpened,
    AccountResumed,
    AccountSuspended,
    LimitsSet,
    SpendingLimits,
)
from ledger.streams.api_key import KeyChanged, KeyIssued, KeyRevoked, KeyTerms
from ledger.streams.channel import (
    ChannelAdded,
    ChannelChanged,
    ChannelKeyStateChanged,
    ChannelPaused,
    ChannelRemoved,
    ChannelResumed,
    Route,
)
from ledger.streams.charge.events import (
    Attempt,
    ChargeAdjusted,
    QuotaReserved,
    RefundIssued,
    Terms,
    UsageSettled,
)
from ledger.streams.contract import Event
from ledger.streams.credit import CreditGranted
from ledger.streams.group import GroupSet
from ledger.streams.price import PriceSet
from ledger.streams.setting import SettingChanged
from ledger.streams.user import (
    IdentityLinked,
    IdentityUnlinked,
    RoleChanged,
    SubjectErased,
    UserDisabled,
    UserEnabled,
    UserRegistered,
)
from ledger.usage import Usage
from projections.reading import NotUpToDate, wait_for
from projections.views import (
    accounts,
    audit_trail,
    channels,
    groups,
    keys,
    open_charges,
    prices,
    request_log,
    settings,
    usage_hourly,
    users,
)
from tests.builders import append_events
from tests.projections.conftest import Books
from tests.projections.driving import run_to_head

T = TypeVar("T")

ACCOUNT, OTHER = derived_id("test", "account"), derived_id("test", "other")
KEY, CHANNEL, SPARE = (derived_id("test", name) for name in ("key", "channel", "spare"))
BOOT, USER = derived_id("test", "boot"), derived_id("test", "user")
PRICE = Price(rates={"input": 2_000_000, "output": 6_000_000})  # 2 and 6 nanos per token
TERMS = Terms(model="vendor/m", group="partner", price_version=1, multiplier=Multiplier(1, 2))


class Log:
    """Appends one event at a time, each at the next version of its stream."""

    def __init__(self, books: Books) -> None:
        self._connection = books.connection
        self._versions: dict[UUID, int] = {}

    def add(self, stream_id: UUID, *events: Event) -> int:
        for event in events:
            version = self._versions.get(stream_id, 0) + 1
            self._versions[stream_id] = version
            position = append_events(self._connection, NewEvent(stream_id, version, event))
        return position

    def recorded_at(self, position: int) -> datetime:
        row = self._connection.execute(
            "select recorded_at from ledger.event where position = %s", (position,)
        ).fetchone()
        assert row is not None
        return row[0]


def show(books: Books, query: Callable[..., Awaitable[T]], *args: Any, **kwargs: Any) -> T:
    """Fold the log, then ask one of the views."""
    run_to_head(books.dsn, books.connection)

    async def ask() -> T:
        connection = await psycopg.AsyncConnection.connect(books.dsn, autocommit=True)
        async with connection:
            await connection.execute("set time zone 'UTC'")
            return await query(connection, *args, **kwargs)

    return asyncio.run(ask())


def credit(amount_nanos: int, account_id: UUID = ACCOUNT) -> CreditGranted:
    return CreditGranted(
        account_id=account_id,
        amount_nanos=amount_nanos,
        source="manual",
        request_sha256="",
        actor="root",
    )


def reserved(hold_nanos: int, **changes: Any) -> QuotaReserved:
    event = QuotaReserved(
        account_id=ACCOUNT,
        key_id=KEY,
        hold_nanos=hold_nanos,
        terms=TERMS,
        admitted_at_us=1,
        node="n1",
        boot=BOOT,
        dialect="openai_chat",
        streaming=True,
        input_tokens_estimated=100,
        output_tokens_max=50,
    )
    return msgspec.structs.replace(event, **changes)


def settled(released_nanos: int, usage: Usage, charged_nanos: int, **changes: Any) -> UsageSettled:
    event = UsageSettled(
        account_id=ACCOUNT,
        key_id=KEY,
        released_nanos=released_nanos,
        charged_nanos=charged_nanos,
        terms=TERMS,
        usage=usage,
        lines=price_lines(usage, PRICE),
        basis="measured",
        ending="complete",
        channel_id=CHANNEL,
        upstream_model="m-large",
        attempts=(
            Attempt(channel_id=SPARE, outcome="failed", status=500),
            Attempt(channel_id=CHANNEL, outcome="answered", status=200, ttft_ms=7),
        ),
        ttft_ms=7,
        duration_ms=30,
        node="n1",
        boot=BOOT,
    )
    return msgspec.structs.replace(event, **changes)


def refunded(released_nanos: int, *attempts: Attempt) -> RefundIssued:
    return RefundIssued(
        account_id=ACCOUNT,
        key_id=KEY,
        released_nanos=released_nanos,
        terms=TERMS,
        reason="upstream_failed",
        attempts=attempts,
        duration_ms=12,
        node="n1",
        boot=BOOT,
    )


def adjusted(delta_nanos: int, **changes: Any) -> ChargeAdjusted:
    event = ChargeAdjusted(
        account_id=ACCOUNT,
        key_id=KEY,
        adjustment_id=BOOT,
        delta_nanos=delta_nanos,
        terms=TERMS,
        reason="refund",
        actor="root",
    )
    return msgspec.structs.replace(event, **changes)


def test_an_account_shows_its_limits_its_money_and_its_last_event(books: Books) -> None:
    log = Log(books)
    opened = log.add(
        ACCOUNT,
        AccountOpened(account_id=ACCOUNT, group="default", actor="root"),
    )
    limits = SpendingLimits(overdraft_nanos=5, day_nanos=70, month_nanos=900)
    log.add(ACCOUNT, LimitsSet(account_id=ACCOUNT, limits=limits, group="vip", actor="root"))
    log.add(ACCOUNT, AccountSuspended(account_id=ACCOUNT, actor="root"))
    log.add(derived_id("test", "c1"), credit(1_000))
    log.add(derived_id("test", "c2"), credit(500))
    first, second = charge_id(), charge_id()
    log.add(first, reserved(100), reserved(20), settled(120, Usage(input=10), 10), adjusted(-4))
    last = log.add(second, reserved(300))
    assert show(books, accounts.find_account, ACCOUNT) == accounts.AccountRow(
        account_id=ACCOUNT,
        group_name="vip",
        overdraft_nanos=5,
        day_limit_nanos=70,
        week_limit_nanos=None,
        month_limit_nanos=900,
        is_suspended=True,
        opened_at=log.recorded_at(opened),
        posted_nanos=1_500 - 10 + 4,
        held_nanos=300,
        available_nanos=1_194,
        credited_nanos=1_500,
        charged_nanos=6,
        credits=2,
        requests=2,
        events=10,
        position=last,
    )
    log.add(ACCOUNT, AccountResumed(account_id=ACCOUNT, actor="root"))
    row = show(books, accounts.find_account, ACCOUNT)
    assert row is not None
    assert not row.is_suspended


def test_accounts_are_listed_page_by_page(books: Books) -> None:
    log = Log(books)
    ids = sorted([ACCOUNT, OTHER, USER])
    for account_id in ids:
        log.add(account_id, AccountOpened(account_id=account_id, group="g", actor="root"))
    page = show(books, accounts.list_accounts, after=None, limit=2)
    assert [row.account_id for row in page] == ids[:2]
    page = show(books, accounts.list_accounts, after=ids[1], limit=2)
    assert [row.account_id for row in page] == ids[2:]


def test_a_charge_is_listed_as_open_until_it_is_closed(books: Books) -> None:
    log = Log(books)
    log.add(derived_id("test", "c1"), credit(1_000))
    first, second = charge_id(), charge_id()
    opened = log.add(first, reserved(100))
    log.add(second, reserved(5))
    grown = log.add(first, reserved(20))
    rows = show(books, open_charges.list_open_charges, after=None, limit=1)
    assert rows == [
        open_charges.OpenChargeRow(
            first, ACCOUNT, KEY, "vendor/m", 120, "n1", BOOT, log.recorded_at(opened), grown
        )
    ]
    log.add(first, settled(120, Usage(input=10), 10))
    log.add(second, refunded(5))
    assert show(books, open_charges.list_open_charges, after=None, limit=9) == []


def test_a_settled_request_shows_everything_that_happened_to_it(books: Books) -> None:
    log = Log(books)
    log.add(derived_id("test", "c1"), credit(1_000))
    stream = charge_id()
    opened = log.add(stream, reserved(100))
    grown = log.add(stream, reserved(20))
    closed = log.add(stream, settled(120, Usage(input=10, output=5), 25, anomaly="odd"))
    corrected = log.add(stream, adjusted(-4))
    row = show(books, request_log.find_request, stream)
    assert row is not None
    assert (row.status, row.ending, row.basis, row.anomaly) == (
        "settled",
        "complete",
        "measured",
        "odd",
    )
    assert (row.account_id, row.key_id, row.channel_id) == (ACCOUNT, KEY, CHANNEL)
    assert (row.model, row.upstream_model, row.group_name) == ("vendor/m", "m-large", "partner")
    assert (row.dialect, row.is_streaming, row.node) == ("openai_chat", True, "n1")
    assert (row.hold_nanos, row.charged_nanos, row.shortfall_nanos) == (120, 25, 0)
    assert row.adjusted_nanos == -4
    assert (row.ttft_ms, row.duration_ms) == (7, 30)
    assert row.reserved_at == log.recorded_at(opened)
    assert row.closed_at == log.recorded_at(closed)
    assert list(row.positions) == [opened, grown, closed, corrected]
    assert msgspec.json.decode(row.multiplier) == [1, 2]
    assert row.usage is not None
    assert msgspec.json.decode(row.usage, type=Usage) == Usage(input=10, output=5)
    assert row.lines is not None
    assert [line["kind"] for line in msgspec.json.decode(row.lines)] == ["input", "output"]
    assert row.attempts is not None
    outcomes = [each["outcome"] for each in msgspec.json.decode(row.attempts)]
    assert outcomes == ["failed", "answered"]


def test_requests_open_and_refunded_are_listed_newest_first(books: Books) -> None:
    log = Log(books)
    log.add(derived_id("test", "c1"), credit(1_000))
    log.add(derived_id("test", "c2"), credit(1_000, OTHER))
    streams = [charge_id() for _ in range(3)]
    log.add(streams[0], reserved(1))
    log.add(streams[1], reserved(2), refunded(2, Attempt(channel_id=SPARE, outcome="timeout")))
    log.add(streams[2], reserved(3, account_id=OTHER))
    page = show(books, request_log.list_requests, before=None, limit=2)
    assert [row.charge_id for row in page] == [streams[2], streams[1]]
    older = show(books, request_log.list_requests, before=page[-1].position, limit=2)
    assert [(row.charge_id, row.status) for row in older] == [(streams[0], "open")]
    own = show(books, request_log.list_requests_of_account, ACCOUNT, before=None, limit=9)
    assert [(row.charge_id, row.status, row.ending) for row in own] == [
        (streams[1], "refunded", "upstream_failed"),
        (streams[0], "open", None),
    ]


def test_usage_adds_up_by_hour_and_combination(books: Books) -> None:
    log = Log(books)
    log.add(derived_id("test", "c1"), credit(1_000))
    for usage in (Usage(input=10, output=5), Usage(input=1, cache_read=3)):
        stream = charge_id()
        log.add(stream, reserved(50), settled(50, usage, 4, shortfall_nanos=1))
    log.add(stream, adjusted(9, reason="late_usage", usage=Usage(output=2)), adjusted(-3))
    last = log.add(charge_id(), reserved(1), refunded(1))
    hour = log.recorded_at(last).replace(minute=0, second=0, microsecond=0)
    far = datetime(2100, 1, 1, tzinfo=UTC)
    rows = show(books, usage_hourly.list_usage_of_account, ACCOUNT, since=hour, until=far)
    key = (hour, ACCOUNT, KEY, "vendor/m")
    nowhere = usage_hourly.NO_CHANNEL
    assert sorted(rows, key=lambda row: row.channel_id) == [
        usage_hourly.UsageRow(
            *key, nowhere, "partner", refunds=1, adjustments=2, output=2, charged_nanos=6
        ),
        usage_hourly.UsageRow(
            *key,
            CHANNEL,
            "partner",
            requests=2,
            input=11,
            output=5,
            cache_read=3,
            charged_nanos=8,
            shortfall_nanos=2,
        ),
    ]


def test_a_channel_shows_its_route_its_state_and_how_its_attempts_went(books: Books) -> None:
    log = Log(books)
    log.add(derived_id("test", "c1"), credit(1_000))
    key_ids = (derived_id("test", "k1"), derived_id("test", "k2"))
    route = Route(
        type="openai",
        base_url="https://upstream.invalid",
        models={"vendor/m": "m-large"},
        groups=("default", "partner"),
        priority=3,
        weight=2,
        key_ids=key_ids,
    )
    added = log.add(CHANNEL, ChannelAdded(channel_id=CHANNEL, route=route, actor="root"))
    for key_id in key_ids:
        log.add(
            CHANNEL,
            ChannelKeyStateChanged(
                channel_id=CHANNEL, key_id=key_id, state="unusable", actor="health"
            ),
        )
    log.add(
        CHANNEL,
        ChannelKeyStateChanged(
            channel_id=CHANNEL, key_id=key_ids[0], state="usable", actor="health"
        ),
    )
    paused = log.add(CHANNEL, ChannelPaused(channel_id=CHANNEL, actor="root", reason="slow"))
    log.add(charge_id(), reserved(50), settled(50, Usage(input=10), 10, shortfall_nanos=2))
    tries = [Attempt(channel_id=CHANNEL, outcome=outcome) for outcome in ("timeout", "refused")]
    log.add(charge_id(), reserved(50), refunded(50, *tries))
    row = show(books, channels.find_channel, CHANNEL)
    assert row is not None
    assert (row.type, row.base_url, row.priority, row.weight) == (
        "openai",
        "https://upstream.invalid",
        3,
        2,
    )
    assert msgspec.json.decode(row.models) == {"vendor/m": "m-large"}
    assert msgspec.json.decode(row.groups) == ["default", "partner"]
    assert msgspec.json.decode(row.key_ids) == [str(each) for each in key_ids]
    assert msgspec.json.decode(row.unusable_key_ids) == [str(key_ids[1])]
    assert (row.state, row.reason, row.position) == ("paused", "slow", paused)
    assert row.added_at == log.recorded_at(added)
    assert (row.answered, row.failed) == (1, 2)
    assert (row.charged_nanos, row.shortfall_nanos) == (10, 2)
    spare = show(books, channels.find_channel, SPARE)
    assert spare is not None
    assert (spare.answered, spare.failed) == (0, 1)


def test_a_channel_that_loses_a_key_forgets_that_it_was_unusable(books: Books) -> None:
    log = Log(books)
    key_ids = (derived_id("test", "k1"), derived_id("test", "k2"))
    route = Route(type="echo", key_ids=key_ids)
    log.add(CHANNEL, ChannelAdded(channel_id=CHANNEL, route=route, actor="root"))
    log.add(
        CHANNEL,
        ChannelKeyStateChanged(
            channel_id=CHANNEL, key_id=key_ids[0], state="unusable", actor="health"
        ),
        ChannelPaused(channel_id=CHANNEL, actor="root", reason="slow"),
        ChannelResumed(channel_id=CHANNEL, actor="root"),
        ChannelChanged(
            channel_id=CHANNEL, route=Route(type="echo", key_ids=key_ids[1:]), actor="root"
        ),
    )
    row = show(books, channels.find_channel, CHANNEL)
    assert row is not None
    assert (row.state, row.unusable_key_ids) == ("active", "[]")
    log.add(CHANNEL, ChannelRemoved(channel_id=CHANNEL, actor="root"))
    assert show(books, channels.list_channels, after=None, limit=9) == []
    removed = show(books, channels.find_channel, CHANNEL)
    assert removed is not None
    assert removed.state == "removed"


def test_a_key_shows_its_terms_and_what_it_spent(books: Books) -> None:
    log = Log(books)
    log.add(derived_id("test", "c1"), credit(1_000))
    terms = KeyTerms(limit_nanos=700, expires_at_us=9, models=("a", "b"), group="vip")
    issued = log.add(
        KEY,
        KeyIssued(
            account_id=ACCOUNT,
            key_id=KEY,
            sha256="5" * 64,
            prefix="tg-",
            last_four="beef",
            terms=terms,
            actor="root",
        ),
    )
    stream = charge_id()
    log.add(stream, reserved(100), settled(100, Usage(input=10), 10), adjusted(-4))
    used = log.add(charge_id(), reserved(30))
    log.add(charge_id(), reserved(7), refunded(7))
    row = show(books, keys.find_key, KEY)
    assert row is not None
    assert (row.account_id, row.sha256, row.prefix, row.last_four) == (
        ACCOUNT,
        "5" * 64,
        "tg-",
        "beef",
    )
    assert (row.limit_nanos, row.expires_at_us, row.group_name) == (700, 9, "vip")
    assert (row.models, row.allowed_ips) == ('["a", "b"]', None)
    assert (row.issued_at, row.position) == (log.recorded_at(issued), issued)
    assert (row.requests, row.held_nanos, row.spent_nanos) == (3, 30, 6)
    assert row.last_used_at is not None
    assert row.last_used_at > log.recorded_at(used)
    log.add(KEY, KeyChanged(account_id=ACCOUNT, key_id=KEY, terms=KeyTerms(), actor="root"))
    log.add(KEY, KeyRevoked(account_id=ACCOUNT, key_id=KEY, actor="root"))
    listed = show(books, keys.list_keys_of_account, ACCOUNT, after=None, limit=9)
    assert [(each.key_id, each.limit_nanos, each.is_revoked) for each in listed] == [
        (KEY, None, True)
    ]


def test_the_price_in_force_is_the_latest_to_begin_of_those_the_last_set(books: Books) -> None:
    log = Log(books)
    stream = derived_id("price", "vendor/m")
    starts = [(100, 1), (300, 2), (100, 3)]
    for start_us, rate in starts:
        log.add(
            stream,
            PriceSet(
                model="vendor/m",
                price=Price(rates={"input": rate}),
                effective_from_us=start_us,
                actor="root",
            ),
        )
    assert show(books, prices.find_price, "vendor/m", 99) is None
    for moment, version in ((100, 3), (299, 3), (300, 2)):
        price = show(books, prices.find_price, "vendor/m", moment)
        assert price is not None
        assert price.version == version
    history = show(books, prices.list_prices, "vendor/m", after=1, limit=9)
    assert [(row.version, row.rates, row.actor) for row in history] == [
        (2, '{"input": 2}', "root"),
        (3, '{"input": 3}', "root"),
    ]
    assert show(books, prices.list_priced_models, after="", limit=9) == ["vendor/m"]


def test_groups_and_settings_show_their_latest_value(books: Books) -> None:
    log = Log(books)
    group, setting = derived_id("group", "vip"), derived_id("setting", "book.time_zone")
    for numerator in (1, 3):
        log.add(group, GroupSet(name="vip", multiplier=Multiplier(numerator, 2), actor="root"))
    for value in ("UTC", "Europe/Riga"):
        log.add(setting, SettingChanged(name="book.time_zone", value=value, actor="ann"))
    found = show(books, groups.find_group, "vip")
    assert found is not None
    assert (found.multiplier_numerator, found.multiplier_denominator) == (3, 2)
    assert (found.version, found.actor) == (2, "root")
    assert [row.name for row in show(books, groups.list_groups, after="", limit=9)] == ["vip"]
    listed = show(books, settings.list_settings, after="", limit=9)
    assert [(row.name, row.value, row.version, row.actor) for row in listed] == [
        ("book.time_zone", "Europe/Riga", 2, "ann")
    ]


def test_a_user_shows_role_state_and_accepted_identities(books: Books) -> None:
    log = Log(books)
    log.add(
        USER,
        UserRegistered(user_id=USER, role="operator", actor="root"),
        RoleChanged(user_id=USER, role="auditor", actor="root"),
        IdentityLinked(user_id=USER, method="token", subject="b", actor="root"),
        IdentityLinked(user_id=USER, method="token", subject="a", actor="root"),
        IdentityLinked(user_id=USER, method="token", subject="c", actor="root"),
        IdentityUnlinked(user_id=USER, method="token", subject="c", actor="root"),
        UserDisabled(user_id=USER, actor="root"),
    )
    row = show(books, users.find_user, USER)
    assert row is not None
    assert (row.role, row.is_disabled, row.is_erased) == ("auditor", True, False)
    assert msgspec.json.decode(row.identities) == [["token", "a"], ["token", "b"]]
    log.add(USER, UserEnabled(user_id=USER, actor="root"))
    log.add(USER, SubjectErased(user_id=USER, actor="root"))
    listed = show(books, users.list_users, after=None, limit=9)
    assert [(each.is_disabled, each.is_erased, each.identities) for each in listed] == [
        (False, True, "[]")
    ]


def test_the_audit_trail_names_every_act_its_actor_and_its_reason(books: Books) -> None:
    log = Log(books)
    first = log.add(ACCOUNT, AccountOpened(account_id=ACCOUNT, group="g", actor="ann"))
    stream = charge_id()
    log.add(derived_id("test", "c1"), credit(1_000))
    log.add(stream, reserved(5), settled(5, Usage(), 0))
    last = log.add(ACCOUNT, AccountSuspended(account_id=ACCOUNT, actor="bob", reason="late"))
    acts = show(books, audit_trail.list_acts, before=last + 1, limit=2)
    assert [(act.position, act.actor, act.topic, act.reason) for act in acts] == [
        (last, "bob", "account.AccountSuspended.v1", "late"),
        (first + 1, "root", "credit.CreditGranted.v1", ""),
    ]
    assert acts[0].recorded_at == log.recorded_at(last)
    older = show(books, audit_trail.list_acts, before=acts[-1].position, limit=2)
    assert [(act.actor, act.stream_id, act.version) for act in older] == [("ann", ACCOUNT, 1)]


def test_a_reader_waits_for_a_position_and_is_told_when_it_does_not_come(books: Books) -> None:
    position = Log(books).add(ACCOUNT, AccountOpened(account_id=ACCOUNT, group="g", actor="a"))
    show(books, wait_for, ["accounts", "keys"], position)
    with pytest.raises(NotUpToDate):
        show(books, wait_for, ["accounts", "keys"], position + 1, timeout_s=0.05)
