"""Views of channels, prices and people on a log made by hand."""

import msgspec
import pytest

from ledger.ids import charge_id, derived_id
from ledger.pricing import Multiplier, Price
from ledger.streams.account import (
    AccountOpened,
    AccountSuspended,
)
from ledger.streams.channel import (
    ChannelAdded,
    ChannelChanged,
    ChannelKeyStateChanged,
    ChannelPaused,
    ChannelRemoved,
    ChannelResumed,
)
from ledger.streams.charge.events import (
    Attempt,
)
from ledger.streams.group import GroupSet
from ledger.streams.price import PriceSet, price_stream_id
from ledger.streams.routes import Route
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
    audit_trail,
    channels,
    groups,
    prices,
    settings,
    users,
)
from projections.views.audit_trail import ActFilter
from projections.views.channels import ChannelRow
from projections.views.groups import GroupRow
from projections.views.prices import PriceRow
from projections.views.settings import SettingRow
from tests.projections.conftest import Books
from tests.projections.hand_made import (
    ACCOUNT,
    CHANNEL,
    SPARE,
    USER,
    Log,
    credit,
    refunded,
    reserved,
    rows_of,
    settled,
    show,
)


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
                channel_id=CHANNEL, key_id=key_id, state="refused", actor="health"
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
    rows = {row.channel_id: row for row in rows_of(books, channels.TABLE, ChannelRow)}
    row = rows[CHANNEL]
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
    assert (rows[SPARE].answered, rows[SPARE].failed) == (0, 1)


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
    (row,) = rows_of(books, channels.TABLE, ChannelRow)
    assert (row.state, row.unusable_key_ids) == ("active", "[]")
    log.add(CHANNEL, ChannelRemoved(channel_id=CHANNEL, actor="root"))
    (removed,) = rows_of(books, channels.TABLE, ChannelRow)
    assert removed.state == "removed"


def test_every_version_of_a_price_is_shown(books: Books) -> None:
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
    history = rows_of(books, prices.TABLE, PriceRow)
    assert [(row.version, row.effective_from_us, row.price, row.actor) for row in history] == [
        (1, 100, '{"rates":{"input":1}}', "root"),
        (2, 300, '{"rates":{"input":2}}', "root"),
        (3, 100, '{"rates":{"input":3}}', "root"),
    ]


def test_books_do_not_show_through_each_other(books: Books) -> None:
    log = Log(books)
    for book, rate in (("", 5), ("cost", 3), ("draft", 4)):
        log.add(
            price_stream_id("m", book),
            PriceSet(
                book=book,
                model="m",
                price=Price(rates={"input": rate}),
                effective_from_us=0,
                actor="root",
            ),
        )
    told = [(row.book, row.price) for row in rows_of(books, prices.TABLE, PriceRow)]
    assert told == [
        ("", '{"rates":{"input":5}}'),
        ("cost", '{"rates":{"input":3}}'),
        ("draft", '{"rates":{"input":4}}'),
    ]


def test_groups_and_settings_show_their_latest_value(books: Books) -> None:
    log = Log(books)
    group, setting = derived_id("group", "vip"), derived_id("setting", "book.time_zone")
    for numerator in (1, 3):
        log.add(group, GroupSet(name="vip", multiplier=Multiplier(numerator, 2), actor="root"))
    for value in ("UTC", "Europe/Riga"):
        log.add(setting, SettingChanged(name="book.time_zone", value=value, actor="ann"))
    (found,) = rows_of(books, groups.TABLE, GroupRow)
    assert found.name == "vip"
    assert (found.multiplier_numerator, found.multiplier_denominator) == (3, 2)
    assert (found.version, found.actor) == (2, "root")
    listed = rows_of(books, settings.TABLE, SettingRow)
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
    row = show(books, users.list_users, [USER])[USER]
    assert (row.role, row.is_disabled, row.is_erased) == ("auditor", True, False)
    assert msgspec.json.decode(row.identities) == [["token", "a"], ["token", "b"]]
    log.add(USER, UserEnabled(user_id=USER, actor="root"))
    log.add(USER, SubjectErased(user_id=USER, actor="root"))
    row = show(books, users.list_users, [USER])[USER]
    assert (row.is_disabled, row.is_erased, row.identities) == (False, True, "[]")
    assert show(books, users.list_users, [ACCOUNT]) == {}


def test_the_audit_trail_names_every_act_its_actor_and_its_reason(books: Books) -> None:
    log = Log(books)
    first = log.add(ACCOUNT, AccountOpened(account_id=ACCOUNT, group="g", actor="ann"))
    stream = charge_id()
    log.add(derived_id("test", "c1"), credit(1_000))
    log.add(stream, reserved(5), settled(5, Usage(), 0))
    last = log.add(ACCOUNT, AccountSuspended(account_id=ACCOUNT, actor="bob", reason="late"))
    acts = show(books, audit_trail.list_acts, ActFilter(before=last + 1), 2)
    assert [(act.position, act.actor, act.topic, act.reason) for act in acts] == [
        (last, "bob", "account.AccountSuspended.v1", "late"),
        (first + 1, "root", "credit.CreditGranted.v1", ""),
    ]
    assert acts[0].recorded_at == log.recorded_at(last)
    older = show(books, audit_trail.list_acts, ActFilter(before=acts[-1].position), 2)
    assert [(act.actor, act.stream_id, act.version) for act in older] == [("ann", ACCOUNT, 1)]


def test_a_reader_waits_for_a_position_and_is_told_when_it_does_not_come(books: Books) -> None:
    position = Log(books).add(ACCOUNT, AccountOpened(account_id=ACCOUNT, group="g", actor="a"))
    show(books, wait_for, ["accounts", "keys"], position)
    with pytest.raises(NotUpToDate):
        show(books, wait_for, ["accounts", "keys"], position + 1, timeout_s=0.05)
