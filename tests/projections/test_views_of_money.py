"""Views of accounts, charges and usage on a log made by hand: each row is worked out on paper."""

from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest

from ledger.ids import charge_id, derived_id
from ledger.streams.account import (
    AccountOpened,
    AccountResumed,
    AccountSuspended,
    LimitsSet,
    SpendingLimits,
)
from ledger.streams.api_key import KeyChanged, KeyIssued, KeyRevoked, KeyTerms
from ledger.streams.charge.events import Attempt, Cost, LateUsage
from ledger.usage import Usage
from projections.views import (
    accounts,
    keys,
    open_charges,
    request_log,
)
from projections.views.request_log import RequestFilter
from projections.views.usage_quarter_hours import NO_CHANNEL, UsageFilter, sum_usage
from tests.projections.conftest import Books
from tests.projections.hand_made import (
    ACCOUNT,
    BOOT,
    CHANNEL,
    KEY,
    OTHER,
    SPARE,
    USER,
    Log,
    adjusted,
    credit,
    refunded,
    reserved,
    rows_of,
    settled,
    show,
)


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
    (row,) = rows_of(books, accounts.TABLE, accounts.AccountRow)
    assert row == accounts.AccountRow(
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
        charged_nanos=10,
        credits=2,
        requests=1,
        events=10,
        position=last,
    )
    assert row.adjusted_nanos == 4
    log.add(ACCOUNT, AccountResumed(account_id=ACCOUNT, actor="root"))
    (row,) = rows_of(books, accounts.TABLE, accounts.AccountRow)
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
    first, second = sorted([charge_id(), charge_id()])
    opened = log.add(first, reserved(100))
    log.add(second, reserved(5))
    grown = log.add(first, reserved(20))
    rows = rows_of(books, open_charges.TABLE, open_charges.OpenChargeRow)
    assert [row.charge_id for row in rows] == [first, second]
    assert rows[:1] == [
        open_charges.OpenChargeRow(
            first, ACCOUNT, KEY, "vendor/m", 120, "n1", BOOT, log.recorded_at(opened), grown
        )
    ]
    log.add(first, settled(120, Usage(input=10), 10))
    log.add(second, refunded(5))
    assert rows_of(books, open_charges.TABLE, open_charges.OpenChargeRow) == []


def test_a_settled_request_shows_what_it_used_and_cost(books: Books) -> None:
    log = Log(books)
    log.add(derived_id("test", "c1"), credit(1_000))
    stream = charge_id()
    log.add(stream, reserved(100), reserved(20))
    assert rows_of(books, request_log.TABLE, request_log.RequestRow) == []
    usage = Usage(input=10, cache_read=4, output=5, reasoning=2)
    closed = log.add(stream, settled(120, usage, 25, anomaly="odd"))
    log.add(stream, adjusted(-4))
    (row,) = rows_of(books, request_log.TABLE, request_log.RequestRow)
    assert (row.status, row.ending, row.basis, row.anomaly) == (
        "settled",
        "complete",
        "measured",
        "odd",
    )
    assert (row.account_id, row.key_id, row.channel_id) == (ACCOUNT, KEY, CHANNEL)
    assert (row.model, row.upstream_model, row.group_name) == ("vendor/m", "m-large", "partner")
    assert (row.charged_nanos, row.shortfall_nanos, row.adjusted_nanos) == (25, 0, -4)
    assert (row.prompt_tokens, row.cached_tokens, row.output_tokens) == (14, 4, 7)
    assert (row.tries, row.ttft_ms, row.duration_ms) == (2, 7, 30)
    assert (row.position, row.closed_at) == (closed, log.recorded_at(closed))


def test_requests_are_listed_when_they_are_closed_newest_first(books: Books) -> None:
    log = Log(books)
    log.add(derived_id("test", "c1"), credit(1_000))
    log.add(derived_id("test", "c2"), credit(1_000, OTHER))
    streams = sorted(charge_id() for _ in range(4))
    log.add(streams[0], reserved(1))
    log.add(streams[1], reserved(2), refunded(2, Attempt(channel_id=SPARE, outcome="timeout")))
    log.add(
        streams[2],
        reserved(3, account_id=OTHER),
        msgspec.structs.replace(refunded(3), account_id=OTHER),
    )
    log.add(streams[0], settled(1, Usage(input=1), 1))
    log.add(streams[3], reserved(4))
    every = RequestFilter()
    page, following = show(books, request_log.list_requests, every, 2)
    assert [row.charge_id for row in page] == [streams[0], streams[2]]
    assert following == page[-1].position
    older = replace(every, before=following)
    page, following = show(books, request_log.list_requests, older, 2)
    assert [(row.charge_id, row.status) for row in page] == [(streams[1], "refunded")]
    assert following is None
    of_account = RequestFilter(account_id=ACCOUNT)
    own, _ = show(books, request_log.list_requests, of_account, 9)
    assert [(row.charge_id, row.status, row.ending, row.tries) for row in own] == [
        (streams[0], "settled", "complete", 2),
        (streams[1], "refunded", "upstream_failed", 1),
    ]
    last = replace(of_account, before=own[0].position)
    assert show(books, request_log.list_requests, last, 9).requests == own[1:]


def test_a_page_looks_at_so_many_requests_and_says_where_it_stopped(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_log, "SCANNED_MAX", 3)
    log = Log(books)
    log.add(derived_id("test", "c1"), credit(1_000))
    rare, *others = (charge_id() for _ in range(6))
    log.add(rare, reserved(1), settled(1, Usage(input=1), 1, ending="stop"))
    closed = [log.add(each, reserved(2), refunded(2)) for each in others]
    asked = RequestFilter(key_id=KEY, ending="stop")
    pages = [show(books, request_log.list_requests, asked, 9)]
    while (following := pages[-1].next_before) is not None:
        pages.append(show(books, request_log.list_requests, replace(asked, before=following), 9))
    assert [page.next_before for page in pages] == [closed[2], closed[0] - 2, None]
    assert [row.charge_id for page in pages for row in page.requests] == [rare]


def test_usage_adds_up_by_quarter_and_combination(books: Books) -> None:
    log = Log(books)
    log.add(derived_id("test", "c1"), credit(1_000))
    cost = Cost(book="list", price_version=1, amount_nanos=3)
    for usage in (Usage(input=10, output=5), Usage(input=1, cache_read=3)):
        stream = charge_id()
        closing = settled(50, usage, 4, shortfall_nanos=1, cost=cost if usage.output else None)
        log.add(stream, reserved(50), closing)
    late = LateUsage(channel_id=SPARE, upstream_model="m", cost=cost)
    log.add(stream, adjusted(9, reason="late_usage", usage=Usage(output=2), late=late))
    log.add(stream, adjusted(-3))
    last = log.add(charge_id(), reserved(1), refunded(1))
    begin = log.recorded_at(1).replace(minute=0, second=0, microsecond=0)
    end = log.recorded_at(last) + timedelta(days=1)
    edges = (begin - timedelta(hours=1), begin, end)
    asked = UsageFilter(account_id=ACCOUNT)
    sums = show(books, sum_usage, edges, ("key_id", "channel_id"), asked, 9)
    assert [(each.stretch, each.names) for each in sums] == [
        (1, (KEY, channel_id)) for channel_id in sorted((NO_CHANNEL, CHANNEL, SPARE))
    ]
    told = {
        each.names[1]: {name: count for name, count in each.sums.items() if count} for each in sums
    }
    assert told == {
        NO_CHANNEL: {"refunds": 1, "adjustments": 1, "adjusted_nanos": -3},
        SPARE: {"adjustments": 1, "output": 2, "adjusted_nanos": 9, "cost_nanos": 3},
        CHANNEL: {
            "requests": 2,
            "input": 11,
            "output": 5,
            "cache_read": 3,
            "charged_nanos": 8,
            "shortfall_nanos": 2,
            "costed_requests": 1,
            "cost_nanos": 3,
        },
    }
    nobody = UsageFilter(account_id=OTHER)
    assert show(books, sum_usage, edges, (), nobody, 9) == []
    assert show(books, sum_usage, edges, ("key_id", "channel_id"), asked, 2) == sums[:2]


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
    (row,) = rows_of(books, keys.TABLE, keys.KeyRow)
    assert (row.account_id, row.sha256, row.prefix, row.last_four) == (
        ACCOUNT,
        "5" * 64,
        "tg-",
        "beef",
    )
    assert (row.limit_nanos, row.expires_at_us, row.group_name) == (700, 9, "vip")
    assert (row.models, row.allowed_ips) == ('["a","b"]', None)
    assert (row.issued_at, row.position) == (log.recorded_at(issued), issued)
    assert (row.requests, row.refunds, row.held_nanos, row.spent_nanos) == (1, 1, 30, 6)
    assert row.last_used_at is not None
    assert row.last_used_at > log.recorded_at(used)
    log.add(KEY, KeyChanged(account_id=ACCOUNT, key_id=KEY, terms=KeyTerms(), actor="root"))
    log.add(KEY, KeyRevoked(account_id=ACCOUNT, key_id=KEY, actor="root"))
    listed = show(books, keys.list_keys_of_account, ACCOUNT, after=None, limit=9)
    assert [(each.key_id, each.limit_nanos, each.is_revoked) for each in listed] == [
        (KEY, None, True)
    ]
