"""Our side from a real log: what each day, model and class comes to, and what is kept of it."""

from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

import msgspec
import psycopg
import pytest

from ledger.ids import charge_id, derived_id
from ledger.pricing import LongContext, Price
from ledger.streams.channel import ChannelAdded, ChannelRemoved
from ledger.streams.charge.events import Attempt, Cost
from ledger.streams.price import PriceSet, price_stream_id
from ledger.streams.routes import Route
from ledger.usage import Usage
from projections.comparison import compare
from projections.reconciliation.contract import NO_MAPPING, Entry, Export
from projections.reconciliation.evidence import Evidence, NoSuchChannel, channels_of, gather
from projections.reconciliation.matching import Tolerance
from projections.reconciliation.report import Question, reconcile
from projections.reconciliation.storage import (
    KeptImport,
    NewReport,
    find_report,
    keep_import,
    keep_report,
    list_lines,
)
from projections.views import upstream_daily
from projections.views.upstream_daily import NO_CHANNEL, UpstreamRow, list_upstream_days
from tests.builders import LawfulLog
from tests.projections.conftest import Books
from tests.projections.driving import run_to_head
from tests.projections.hand_made import (
    CHANNEL,
    SPARE,
    Log,
    adjusted,
    credit,
    refunded,
    reserved,
    settled,
    show,
)

T = TypeVar("T")

COST = Price(rates={"input": 1_000_003, "cache_read": 100_000, "output": 4_000_000})
BOOK = "cost"


def log_with_channels(books: Books) -> Log:
    log = Log(books)
    log.add(derived_id("test", "c1"), credit(10_000_000))
    for channel_id, kind in ((CHANNEL, "openai"), (SPARE, "anthropic")):
        route = Route(type=kind, models={"vendor/m": "m-large"})
        log.add(channel_id, ChannelAdded(channel_id=channel_id, route=route, actor="root"))
    set_cost(log, COST)
    return log


def set_cost(log: Log, price: Price, model: str = "m-large") -> None:
    event = PriceSet(model=model, price=price, effective_from_us=0, actor="root", book=BOOK)
    log.add(price_stream_id(model, BOOK), event)


def call(log: Log, usage: Usage, cost_nanos: int | None, **changes: object) -> int:
    cost = None
    if cost_nanos is not None:
        cost = Cost(book=BOOK, price_version=1, amount_nanos=cost_nanos)
    return log.add(charge_id(), reserved(100), settled(100, usage, 10, cost=cost, **changes))


def today(log: Log, position: int) -> date:
    return log.recorded_at(position).astimezone(UTC).date()


def in_snapshot(books: Books, work: Callable[..., Awaitable[T]], *args: object) -> T:
    """Fold the log, and do something in one snapshot of it."""

    async def within(connection: psycopg.AsyncConnection[Any]) -> T:
        async with connection.transaction():
            await connection.execute("set transaction isolation level repeatable read")
            return await work(connection, *args)

    return show(books, within)


def test_a_day_is_kept_apart_by_all_that_decides_what_a_token_costs(books: Books) -> None:
    log = log_with_channels(books)
    call(log, Usage(input=10, output=2), 18)
    last = call(log, Usage(input=5, cache_read=4, reasoning=1), 9, basis="estimated")
    call(log, Usage(input=200_001), 200_002)
    call(log, Usage(input=7), 7, service="flex")
    call(log, Usage(input=1), None, upstream_model="m-free", attempts=())
    log.add(charge_id(), reserved(5), refunded(5, Attempt(channel_id=SPARE, outcome="timeout")))
    late = adjusted(3, reason="late_usage", usage=Usage(output=6))
    log.add(charge_id(), reserved(5), refunded(5), late)
    log.add(charge_id(), reserved(5), refunded(5), adjusted(3))
    day = today(log, last)
    rows = show(books, list_upstream_days, first=day, last=day)
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    assert {row.day for row in rows} == {midnight}

    def of(channel_id: UUID, model: str, *key: object, **sums: int) -> UpstreamRow:
        return UpstreamRow(midnight, channel_id, model, *key, **sums)  # type: ignore[arg-type]

    expected = [
        of(NO_CHANNEL, "vendor/m", "", "", 0, 0, requests=1, output=6),
        of(CHANNEL, "m-free", "", "", 0, 0, requests=1, input=1),
        of(
            *(CHANNEL, "m-large", "", BOOK, 1, 0),
            requests=2,
            estimated_requests=1,
            input=15,
            cache_read=4,
            output=2,
            reasoning=1,
            cost_nanos=27,
        ),
        of(CHANNEL, "m-large", "", BOOK, 1, 200_000, requests=1, input=200_001, cost_nanos=200_002),
        of(CHANNEL, "m-large", "flex", BOOK, 1, 0, requests=1, input=7, cost_nanos=7),
        of(SPARE, "", "", "", 0, 0, failed_attempts=5),
    ]
    assert sorted(map(repr, rows)) == sorted(map(repr, expected))
    assert show(books, list_upstream_days, first=day + timedelta(1), last=date(2999, 1, 1)) == []


def test_a_failed_try_at_the_channel_that_answered_knows_its_model(books: Books) -> None:
    log = log_with_channels(books)
    attempts = (
        Attempt(channel_id=CHANNEL, outcome="failed", status=500),
        Attempt(channel_id=CHANNEL, outcome="timeout"),
        Attempt(channel_id=CHANNEL, outcome="answered", status=200),
    )
    position = call(log, Usage(input=1), 1, attempts=attempts)
    day = today(log, position)
    rows = show(books, list_upstream_days, first=day, last=day)
    assert [(row.upstream_model, row.requests, row.failed_attempts) for row in rows] == [
        ("m-large", 0, 2),
        ("m-large", 1, 0),
    ]


def test_a2_a_try_that_told_what_it_used_is_a_request_its_provider_bills(books: Books) -> None:
    log = log_with_channels(books)
    paid = Cost(book=BOOK, price_version=1, amount_nanos=4)
    spent = Attempt(
        channel_id=SPARE,
        outcome="failed",
        usage=Usage(input=4),
        basis="estimated",
        upstream_model="m-large",
        service="flex",
        cost=paid,
    )
    unpriced = msgspec.structs.replace(spent, cost=None, service=None, basis="measured")
    answered = Attempt(channel_id=CHANNEL, outcome="answered", status=200)
    call(log, Usage(input=1), 1, attempts=(spent, answered))
    log.add(charge_id(), reserved(5), refunded(5, unpriced, spent))
    closed = adjusted(0, reason="late_usage", attempts=(spent,))
    position = log.add(charge_id(), reserved(5), refunded(5), closed)
    day = today(log, position)
    rows = show(books, list_upstream_days, first=day, last=day)
    assert [
        (row.channel_id, row.service, row.cost_book, row.requests, row.estimated_requests)
        for row in rows
        if row.channel_id == SPARE
    ] == [(SPARE, "", "", 1, 0), (SPARE, "flex", BOOK, 3, 3)]
    assert [(row.input, row.cost_nanos) for row in rows if row.service == "flex"] == [(12, 12)]
    assert {row.failed_attempts for row in rows} == {0}
    assert sum(row.requests for row in rows if row.channel_id == CHANNEL) == 1


def test_a_replay_gives_the_same_rows_on_a_log_of_everything(books: Books) -> None:
    log = LawfulLog(books.connection, seed=5)
    log.grow(2_000)
    log.close_all()
    run_to_head(books.dsn, books.connection)
    assert compare(books.dsn, upstream_daily.PROJECTION) == []
    totals = books.connection.execute(
        "select sum(requests), sum(cost_nanos), sum(input), sum(output + reasoning) "
        "from projections.upstream_daily where channel_id <> %s",
        (NO_CHANNEL,),
    ).fetchone()
    settled_totals = books.connection.execute(
        "with closing as (select topic, convert_from(state, 'UTF8')::jsonb as data "
        "    from ledger.event where topic in ('charge.UsageSettled.v1', 'charge.RefundIssued.v1'))"
        "select count(*), sum((data #>> '{cost,amount_nanos}')::bigint), "
        "sum((data #>> '{usage,input}')::bigint), "
        "sum(coalesce((data #>> '{usage,output}')::bigint, 0) "
        "  + coalesce((data #>> '{usage,reasoning}')::bigint, 0)) "
        "from (select data from closing where topic = 'charge.UsageSettled.v1' "
        "      union all select jsonb_array_elements(data -> 'attempts') from closing) used "
        "where data -> 'usage' is not null"
    ).fetchone()
    assert totals == settled_totals


def test_the_evidence_is_exact_and_names_its_position(books: Books) -> None:
    log = log_with_channels(books)
    call(log, Usage(input=3, output=1), 7)  # exactly 3.000009 + 4
    position = call(log, Usage(input=1), 1, channel_id=SPARE)
    day = today(log, position)
    found: Evidence = in_snapshot(books, gather, (CHANNEL,), day, day)
    assert found.position == position
    assert found.recorded_at == log.recorded_at(position)
    ((place, requests),) = found.ours.requests.items()
    assert (place.day, place.model, requests) == (day, "m-large", 1)
    assert found.ours.femto[place, "input"] == 3_000_009
    assert found.ours.femto[place, "output"] == 4_000_000
    everywhere: Evidence = in_snapshot(books, gather, None, day, day)
    assert everywhere.ours.requests[place] == 2
    assert everywhere.digest != found.digest


def test_the_digest_changes_with_the_figures_alone(books: Books) -> None:
    log = log_with_channels(books)
    day = today(log, call(log, Usage(input=3), 3))
    first: Evidence = in_snapshot(books, gather, (CHANNEL,), day, day)
    later = call(log, Usage(input=3), 3, channel_id=SPARE, attempts=())
    set_cost(log, COST)
    second: Evidence = in_snapshot(books, gather, (CHANNEL,), day, day)
    assert (first.position < later, second.position > later) == (True, True)
    assert second.digest == first.digest
    call(log, Usage(input=1), 1, attempts=())
    third: Evidence = in_snapshot(books, gather, (CHANNEL,), day, day)
    assert third.digest != first.digest


def test_channels_are_those_named_or_those_of_a_type_removed_ones_too(books: Books) -> None:
    log = log_with_channels(books)
    log.add(SPARE, ChannelRemoved(channel_id=SPARE, actor="root"))
    assert in_snapshot(books, channels_of, (), "anthropic") == (SPARE,)
    assert in_snapshot(books, channels_of, (), None) is None
    assert in_snapshot(books, channels_of, (SPARE, SPARE), "openai") == (SPARE,)
    for given in (((UUID(int=5),), None), ((), "gemini")):
        with pytest.raises(NoSuchChannel):
            in_snapshot(books, channels_of, *given)


def test_a_price_with_a_tier_of_its_own_length_is_never_split_wrongly(books: Books) -> None:
    log = log_with_channels(books)
    tier = LongContext(above_tokens=1_000, rates={"input": 9_000_000})
    set_cost(log, Price(rates=COST.rates, long_context=(tier,)), "m-tiered")
    position = call(log, Usage(input=2_000, output=1), 18_004, upstream_model="m-tiered")
    day = today(log, position)
    found: Evidence = in_snapshot(books, gather, (CHANNEL,), day, day)
    assert sum(found.ours.unsplit_nanos.values()) == 18_004
    assert sum(found.ours.whole_femto.values()) == 0


# ---------------------------------------------------------------------- what is kept


def kept_report(books: Books) -> tuple[UUID, Export]:
    """A report on two calls, kept; its id, and the export it is of."""
    log = log_with_channels(books)
    day = today(log, call(log, Usage(input=3, output=1), 7))
    entries = (
        Entry("line 2", day, "m-large", "input", Decimal(3), Decimal("0.000000003000009")),
        Entry("line 3", day, "m-large", "output", Decimal(2), Decimal("5e-9")),
        Entry("line 4", day, "=cmd", "other", None, Decimal("-1.00000000000000000001")),
    )
    export = Export(entries, ("input", "output", "other"), day, day)
    found: Evidence = in_snapshot(books, gather, None, day, day)
    report = reconcile(export, found.ours, Question(day, day, {}, Tolerance(), day))
    kept = KeptImport(UUID(int=1), "00", "generic", NO_MAPPING, 9, "operator:x")
    new = NewReport(
        *(UUID(int=2), UUID(int=1), day, day, None, 0, Decimal(0), {}),
        *(found.position, found.recorded_at, "operator:x"),
    )

    async def keep(connection: psycopg.AsyncConnection[Any]) -> list[bool]:
        kept_now = []
        for _ in range(2):
            async with connection.transaction():
                await keep_import(connection, kept, export)
                kept_now.append(await keep_report(connection, new, report))
        return kept_now

    assert show(books, keep) == [True, False]  # what is kept already is left alone

    async def look(connection: psycopg.AsyncConnection[Any]) -> None:
        whole = await list_lines(connection, UUID(int=2), outcome=None, after=0, limit=9)
        assert whole == list(enumerate(report.lines, 1))
        cursor = await connection.execute(
            "select place, day, model, unit, units, amount_usd "
            "from operations.reconciliation_import_entry where import_id = %s order by number",
            (UUID(int=1),),
        )
        assert [Entry(*row) for row in await cursor.fetchall()] == list(entries)
        stored = await find_report(connection, UUID(int=2))
        assert stored is not None
        assert stored.summary == report.summary
        assert (stored.as_of_position, stored.lines) == (found.position, 3)
        page = await list_lines(connection, UUID(int=2), outcome="only_theirs", after=0, limit=9)
        assert [line.model for _, line in page] == ["=cmd"]

    show(books, look)
    return UUID(int=2), export


def test_a_report_comes_back_as_it_was_kept(books: Books) -> None:
    kept_report(books)


@pytest.mark.parametrize(
    "table",
    [
        "reconciliation_import",
        "reconciliation_import_entry",
        "reconciliation_report",
        "reconciliation_report_line",
    ],
)
def test_what_is_kept_is_never_changed(books: Books, table: str) -> None:
    kept_report(books)
    column = "actor" if table in ("reconciliation_import", "reconciliation_report") else "unit"
    for statement in (
        f"update operations.{table} set {column} = 'x'",
        f"delete from operations.{table}",
        f"truncate operations.{table} cascade",
    ):
        with (
            psycopg.connect(books.owner_dsn, autocommit=True) as owner,
            pytest.raises(psycopg.errors.RestrictViolation),
        ):
            owner.execute(statement.encode())
