"""fsck on a lawful log is silent; every kind of damage is found, and named."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import psycopg
import pytest

from ledger import balance_checks, version_checks
from ledger.balance_checks import BelowZero
from ledger.budget import rebuild_budget
from ledger.codec import decode, encode
from ledger.fsck import FINDINGS_PER_CHECK, Checked, Finding, check_ledger
from ledger.ids import entity_id
from ledger.leaf import leaf
from ledger.pricing import Multiplier
from ledger.streams.charge import rules as charge
from ledger.streams.charge.events import ChargeAdjusted, QuotaReserved, UsageSettled
from ledger.streams.contract import Posting
from ledger.streams.credit import CreditGranted
from ledger.streams.registry import STREAM_OF
from ledger.usage import Usage
from tests.builders import LawfulLog, append_events
from tests.ledger.building import Call, credit, opened, payer, priced, reserve, settle
from tests.servers import FreshDatabase

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Books:
    """A lawful log, and the owner's connection with the triggers out of the way."""

    dsn: str
    owner_dsn: str
    app: psycopg.Connection[Any]
    owner: psycopg.Connection[Any]
    log: LawfulLog


@pytest.fixture
def books(ledger_database: FreshDatabase) -> Iterator[Books]:
    app_dsn, owner_dsn = ledger_database.app_dsn, ledger_database.owner_dsn
    with (
        psycopg.connect(app_dsn, autocommit=True) as app,
        psycopg.connect(owner_dsn, autocommit=True) as owner,
    ):
        log = LawfulLog(app, seed=11)
        log.grow(600)
        yield Books(app_dsn, owner_dsn, app, owner, log)


def findings(books: Books) -> set[tuple[str, int | None]]:
    return {(each.check, each.position) for each in check_ledger(books.dsn)}


def tamper(books: Books, statement: str, *parameters: object) -> None:
    """Change the log as only an owner can, and put the guard back."""
    books.owner.execute("alter table ledger.event disable trigger user")
    books.owner.execute(statement.encode(), parameters)
    books.owner.execute("alter table ledger.event enable always trigger append_only")
    books.owner.execute("alter table ledger.event enable always trigger never_truncated")


def last_settled(books: Books) -> int:
    row = books.app.execute(
        "select max(e.position) from ledger.event e, ledger.head h "
        "where e.topic = %s and e.position < h.position",
        (UsageSettled.TOPIC,),
    ).fetchone()
    assert row is not None
    return int(row[0])


def rewrite(books: Books, position: int, change: Callable[[Any], Any]) -> None:
    """Another event in an event's place, under a hash that fits."""
    row = books.owner.execute(
        "select originator_id, originator_version, recorded_at, account_id, account_seq, topic, "
        "state from ledger.event where position = %s",
        (position,),
    ).fetchone()
    assert row is not None
    stream_id, version, recorded_at, account_id, account_seq, topic, state = row
    forged = encode(change(decode(topic, state)))
    at_us = (recorded_at - _EPOCH) // timedelta(microseconds=1)
    fits = leaf(position, stream_id, version, at_us, (account_id, account_seq), (topic, forged))
    tamper(
        books,
        "update ledger.event set state = %s, leaf = %s where position = %s",
        forged,
        fits,
        position,
    )


def test_a_lawful_log_with_every_event_is_clean(books: Books) -> None:
    assert list(check_ledger(books.dsn)) == []
    assert list(check_ledger(books.owner_dsn)) == []


def test_an_empty_log_is_clean(ledger_database: FreshDatabase) -> None:
    assert list(check_ledger(ledger_database.app_dsn)) == []


def test_the_check_is_exact_while_events_arrive(books: Books) -> None:
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            books.log.grow(20, batch_groups=10)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for _ in range(5):
            assert list(check_ledger(books.dsn)) == []
    finally:
        stop.set()
        thread.join()


def test_a_changed_byte_is_named(books: Books) -> None:
    position = last_settled(books)
    tamper(
        books,
        "update ledger.event set state = replace(encode(state, 'escape'), 'n1', 'n2')::bytea "
        "where position = %s",
        position,
    )
    assert findings(books) == {("leaf", position)}


def test_every_other_column_is_hashed_too(books: Books) -> None:
    position = last_settled(books)
    tamper(
        books,
        "update ledger.event set recorded_at = recorded_at + interval '1 microsecond' "
        "where position = %s",
        position,
    )
    assert ("leaf", position) in findings(books)


def test_bytes_that_are_no_event_are_named(books: Books) -> None:
    position = last_settled(books)
    tamper(books, "update ledger.event set state = '{' where position = %s", position)
    assert {("leaf", position), ("event", position)} <= findings(books)


def test_an_event_that_is_gone_is_named_by_its_successor(books: Books) -> None:
    position = last_settled(books)
    tamper(books, "delete from ledger.event where position = %s", position)
    found = findings(books)
    assert ("position", position + 1) in found
    assert any(check == "budget" for check, _ in found)


def test_a_log_cut_short_does_not_reach_its_head(books: Books) -> None:
    head = books.log.stored
    tamper(books, "delete from ledger.event where position > %s", head - 3)
    assert ("position", head - 3) in findings(books)


def test_two_events_that_changed_places_are_named(books: Books) -> None:
    """All of their fields but the place, so that each stands whole where the other stood."""
    later = last_settled(books)
    row = books.app.execute(
        "select max(position) from ledger.event where topic = %s and position < %s",
        (UsageSettled.TOPIC, later),
    ).fetchone()
    assert row is not None
    earlier = int(row[0])
    for old, new in ((earlier, -1), (later, earlier), (-1, later)):
        tamper(books, "update ledger.event set position = %s where position = %s", new, old)
    found = findings(books)
    assert {("leaf", earlier), ("leaf", later)} <= found
    assert min(position for _, position in found if position is not None) == earlier


def test_two_states_that_changed_places_are_named(books: Books) -> None:
    later = last_settled(books)
    tamper(
        books,
        "update ledger.event e set state = o.state from ledger.event o "
        "where (e.position, o.position) in ((%s, 1), (1, %s))",
        later,
        later,
    )
    assert {("leaf", 1), ("leaf", later), ("event", 1)} <= findings(books)


def test_time_that_runs_backwards_is_named(books: Books) -> None:
    tamper(
        books,
        "update ledger.event set recorded_at = recorded_at - interval '1 hour' "
        "where position = 300",
    )
    assert ("recorded_at", 300) in findings(books)


def test_a_skipped_number_of_an_account_is_named(books: Books) -> None:
    position = last_settled(books)
    tamper(
        books,
        "update ledger.event set account_seq = account_seq + 5 where position = %s",
        position,
    )
    assert ("account_seq", position) in findings(books)


def test_a_skipped_version_is_named(books: Books) -> None:
    position = last_settled(books)
    tamper(
        books,
        "update ledger.event set originator_version = originator_version + 5 where position = %s",
        position,
    )
    assert ("version", position) in findings(books)


def test_versions_are_followed_in_little_memory(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(version_checks, "_REMEMBERED_MAX", 2)
    assert list(check_ledger(books.dsn)) == []
    position = last_settled(books)
    tamper(
        books,
        "update ledger.event set originator_version = originator_version + 5 where position = %s",
        position,
    )
    assert ("version", position) in findings(books)


def test_postings_that_say_otherwise_than_budgets_are_named_by_account(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    def off_by_one(granted: CreditGranted) -> tuple[Posting, ...]:
        amount = granted.amount_nanos + (granted.account_id == books.log.accounts[1])
        return (Posting("customer:available", amount), Posting("clearing:manual", -amount))

    streams = dict(STREAM_OF)
    streams[CreditGranted] = streams[CreditGranted]._replace(postings=off_by_one)
    monkeypatch.setattr(balance_checks, "STREAM_OF", streams)
    found = list(check_ledger(books.dsn))
    assert [(each.check, each.scope) for each in found] == [
        ("trial_balance", "customer:available"),
        ("account_total", str(books.log.accounts[1])),
    ]


def test_an_account_that_a_correction_took_below_zero_is_no_fault_and_is_told(
    ledger_database: FreshDatabase,
) -> None:
    paying, call = payer(), Call()
    with psycopg.connect(ledger_database.app_dsn, autocommit=True) as connection:
        append_events(connection, priced())
        append_events(connection, *opened(paying))
        append_events(connection, credit(paying.account_id, 100))
        append_events(connection, *call.next(reserve(paying.cover(), 100)))
        append_events(connection, *call.next(settle(Usage(input=100))))
        dispute = charge.Adjust(
            adjustment_id=entity_id(), delta_nanos=30, reason="dispute", actor="test"
        )
        position = append_events(connection, *call.next(dispute))
        checked = Checked()
        assert list(check_ledger(ledger_database.app_dsn, checked)) == []
        cause = BelowZero(position, ChargeAdjusted.TOPIC)
        assert checked.below_zero == {paying.account_id: cause}
        append_events(connection, credit(paying.account_id, 30))
        checked = Checked()
        assert list(check_ledger(ledger_database.app_dsn, checked)) == []
        assert checked.below_zero == {}


def test_progress_never_goes_back_and_ends_at_the_head(books: Books) -> None:
    told: list[tuple[int, int]] = []
    list(check_ledger(books.dsn, progress=lambda done, total: told.append((done, total))))
    assert told == sorted(told)
    assert told[-1] == (books.log.stored, books.log.stored)


def test_a_changed_budget_is_named_by_its_scope_and_made_anew(books: Books) -> None:
    scope = books.log.accounts[2]
    books.owner.execute(
        "update ledger.budget set posted_nanos = posted_nanos + 1 where scope = %s", (scope,)
    )
    books.owner.execute("delete from ledger.budget where scope = %s", (books.log.accounts[3],))
    invented = books.log.channels[0]
    books.owner.execute("insert into ledger.budget values (%s, 0, 5, 1, 1)", (invented,))
    wrong = {str(scope), str(books.log.accounts[3]), str(invented)}
    found = list(check_ledger(books.dsn))
    assert {(each.check, each.scope) for each in found} == {("budget", each) for each in wrong}
    assert {str(each.scope) for each in rebuild_budget(books.owner_dsn)} == wrong
    assert list(check_ledger(books.dsn)) == []
    assert rebuild_budget(books.owner_dsn) == []


def test_budgets_are_made_anew_while_events_arrive(books: Books) -> None:
    books.owner.execute("update ledger.budget set held_nanos = held_nanos + 7")
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            books.log.grow(20, batch_groups=10)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        assert rebuild_budget(books.owner_dsn) != []
    finally:
        stop.set()
        thread.join()
    assert list(check_ledger(books.dsn)) == []


@pytest.mark.parametrize(
    ("change", "check"),
    [
        ({"charged_nanos": -1}, "amount"),
        ({"charged_nanos": 10**12}, "amount"),
        ({"lines": ()}, "amount"),
        ({"released_nanos": 10**12}, "charge"),
        ({"node": "n2", "windows": ()}, None),
    ],
)
def test_a_settlement_forged_under_a_fitting_hash_is_named(
    books: Books, change: dict[str, Any], check: str | None
) -> None:
    row = books.app.execute(
        "select position from ledger.event where topic = %s and state like %s "
        "order by position desc limit 1",
        (UsageSettled.TOPIC, b'%"price_nanos":1%'),
    ).fetchone()
    assert row is not None
    rewrite(books, row[0], lambda event: msgspec.structs.replace(event, **change))
    found = findings(books)
    assert ("leaf", row[0]) not in found
    assert check is None or (check, row[0]) in found


@pytest.mark.parametrize(
    ("forge", "check"),
    [
        (lambda event: _with_terms(event, multiplier=Multiplier(1, 1_000)), "terms"),
        (lambda event: _with_terms(event, group="nobody"), "terms"),
        (lambda event: _with_moment(event, 1_700_000_000_000_000), "price"),
    ],
    ids=["t1-multiplier", "t1-group", "t2-moment"],
)
def test_t1_t2_what_a_charge_was_admitted_by_is_held_against_the_log(
    books: Books, forge: Callable[[Any], Any], check: str
) -> None:
    """Forged in every event of the charge, each under a hash that fits."""
    settled = last_settled(books)
    rows = books.app.execute(
        "select position from ledger.event where originator_id = "
        "(select originator_id from ledger.event where position = %s)",
        (settled,),
    ).fetchall()
    for (position,) in rows:
        rewrite(books, position, forge)
    found = findings(books)
    assert (check, settled) in found
    assert not any(each == "leaf" for each, _ in found)


def _with_terms(event: Any, **changes: object) -> Any:  # noqa: ANN401 - of a charge
    return msgspec.structs.replace(event, terms=msgspec.structs.replace(event.terms, **changes))


def _with_moment(event: Any, moment_us: int) -> Any:  # noqa: ANN401 - of a charge
    if not isinstance(event, QuotaReserved):
        return event
    return msgspec.structs.replace(event, admitted_at_us=moment_us)


def test_a_hold_beyond_its_cap_is_named(books: Books) -> None:
    row = books.app.execute(
        "select max(position) from ledger.event where topic = 'charge.QuotaReserved.v1'"
    ).fetchone()
    assert row is not None
    rewrite(books, row[0], lambda event: msgspec.structs.replace(event, hold_nanos=4 * 10**18))
    found = [each for each in check_ledger(books.dsn) if each.check == "cap"]
    assert {each.position for each in found} == {row[0]}


def test_a_charge_closed_without_a_reservation_is_named(books: Books) -> None:
    row = books.app.execute(
        "select originator_id from ledger.event where position = %s", (last_settled(books),)
    ).fetchone()
    assert row is not None
    tamper(
        books,
        "delete from ledger.event where originator_id = %s and topic = 'charge.QuotaReserved.v1'",
        row[0],
    )
    assert ("charge", last_settled(books)) in findings(books)


def test_a_mistake_that_shows_everywhere_is_told_a_hundred_times(books: Books) -> None:
    tamper(books, "update ledger.event set leaf = '\\x00'")
    found = list(check_ledger(books.dsn))
    assert len(found) == FINDINGS_PER_CHECK
    assert found[0].position == 1
    assert all(isinstance(each, Finding) for each in found)
