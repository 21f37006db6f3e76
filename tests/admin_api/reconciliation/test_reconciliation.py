"""/reconciliations over a real log: files in, reports out, and what is refused."""

import asyncio
import csv
import io
import json
from collections.abc import Callable, Coroutine
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx2
import psycopg
import pytest

from admin_api.registry import LARGER_BODIES
from ledger.ids import charge_id, entity_id
from ledger.pricing import Price, cost_nanos
from ledger.streams import channel, price
from ledger.streams.charge import rules as charge
from ledger.streams.charge.events import Attempt, Cost, Cover, Terms
from ledger.streams.routes import Route
from ledger.usage import Usage
from projections.views import channels, prices, upstream_daily
from tests.admin_api.desks import OpenDesk, Servers, at_desk
from tests.projections.driving import running

COST = Price(rates={"input": 2_500_000_000, "output": 10_000_000_000})
READS = (upstream_daily.PROJECTION, prices.PROJECTION, channels.PROJECTION)
BINARY = {"content-type": "application/octet-stream"}


def with_books(servers: Servers, test: Callable[[OpenDesk], Coroutine[Any, Any, None]]) -> None:
    """Run a test at a desk beside which the read models are folded."""
    with running(servers.dsn, READS):
        at_desk(servers, test)


async def furnish(desk: OpenDesk, *usages: Usage, kind: str = "openai") -> tuple[UUID, date]:
    """A channel with settled calls at a cost price; the channel, and the calls' day."""
    handle, channel_id = desk.desk.ledger.handle, entity_id()
    account_id = UUID(await desk.account())
    key_id, _ = await desk.key(str(account_id))
    await desk.credit(str(account_id), "100")
    await handle(channel.STREAM, channel_id, channel.Add(channel_id, Route(type=kind), "test"))
    set_price = price.SetPrice("gpt-4o", COST, 0, "test", book=price.COST)
    appended = await handle(price.STREAM, price.price_stream_id("gpt-4o", price.COST), set_price)
    version = (
        1
        if appended is None
        else len(await desk.desk.ledger.events(price.price_stream_id("gpt-4o", price.COST)))
    )
    node: dict[str, Any] = {"node": "n", "boot": entity_id()}
    for usage in usages:
        stream_id = charge_id()
        terms = Terms(model="m", group="default", price_version=1)
        opening = charge.Reserve(
            hold_nanos=1,
            cover=Cover(account_id=account_id, key_id=UUID(key_id)),
            terms=terms,
            admitted_at_us=1,
            dialect="openai_chat",
            **node,
        )
        await handle(charge.STREAM, stream_id, opening)
        closing = charge.Settle(
            usage=usage,
            price=Price(rates={"input": 0}),
            basis="measured",
            ending="stop",
            channel_id=channel_id,
            upstream_model="gpt-4o",
            attempts=(Attempt(channel_id=channel_id, outcome="answered", status=200),),
            cost=Cost(book=price.COST, price_version=version, amount_nanos=cost_nanos(usage, COST)),
            **node,
        )
        appended = await handle(charge.STREAM, stream_id, closing)
    async with desk.desk.pool.connection() as connection:
        cursor = await connection.execute("select recorded_at from ledger.head")
        row = await cursor.fetchone()
    assert row is not None
    return channel_id, row[0].astimezone(UTC).date()


def costs(day: date, *results: tuple[str, str, int | None]) -> bytes:
    """OpenAI's costs of one day: line item, amount, quantity."""
    start = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
    inner = ",".join(
        f'{{"object": "organization.costs.result", "line_item": {json.dumps(item)},'
        f' "amount": {{"value": {amount}, "currency": "usd"}}, "quantity": {json.dumps(count)}}}'
        for item, amount, count in results
    )
    return (
        f'{{"object": "page", "has_more": false, "data": [{{"object": "bucket",'
        f' "start_time": {start}, "end_time": {start + 86_400}, "results": [{inner}]}}]}}'
    ).encode()


async def send(desk: OpenDesk, content: bytes, query: str = "", **options: Any) -> httpx2.Response:  # noqa: ANN401
    path = f"/reconciliations?format=openai-costs{query}"
    return await desk.post(path, content=content, headers=BINARY, **options)


def test_a_file_that_agrees_and_one_that_does_not(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        channel_id, day = await furnish(desk, Usage(input=1_000, output=10), Usage(input=24))
        agreeing = costs(day, ("gpt-4o, input", "0.00256", 1_024), ("gpt-4o, output", "1e-4", 10))
        answer = await send(desk, agreeing)
        assert answer.status_code == 201, answer.text
        told = answer.json()
        assert told["agrees"] is True
        assert told["channels"] == [str(channel_id)]
        assert told["summary"]["amount"] == {
            "theirs": "0.00266",
            "ours": "0.00266",
            "ratio": "1/1",
            "rate": "1.000000",
        }
        assert told["summary"]["recorded"] == "0.00266"
        assert answer.headers["location"] == f"/api/v1/reconciliations/{told['id']}"

        other = costs(
            day,
            ("gpt-4o, input", "0.00256", 1_024),
            ("gpt-4o, output", "2e-4", 10),
            ("web search tool calls", "0.03", None),
        )
        told = (await send(desk, other)).json()
        assert told["agrees"] is False
        outcomes = {name: n for name, n in told["summary"]["outcomes"].items() if n}
        assert outcomes == {"matched": 1, "price_differs": 1, "only_theirs": 1}
        found = await desk.get(f"/reconciliations/{told['id']}?outcome=price_differs")
        assert found.json()["reconciliation"] == told
        assert found.json()["lines"] == [
            {
                "number": 2,
                "day": day.isoformat(),
                "model": "gpt-4o",
                "their_models": ["gpt-4o"],
                "unit": "output",
                "outcome": "price_differs",
                "their_units": "10",
                "our_units": "10",
                "difference_units": "0",
                "their_amount": "0.0002",
                "our_amount": "0.0001",
                "difference_amount": "0.0001",
            }
        ]
        listed = (await desk.get("/reconciliations?limit=1")).json()
        assert [each["id"] for each in listed["reconciliations"]] == [told["id"]]
        rest = (await desk.get(f"/reconciliations?before={listed['next']}")).json()
        assert (len(rest["reconciliations"]), rest["next"]) == (1, None)

    with_books(servers, check)


def test_a_report_never_changes_and_the_same_question_gives_it_again(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        _, day = await furnish(desk, Usage(input=100))
        content = costs(day, ("gpt-4o, input", "0.0005", 200))
        first = (await send(desk, content)).json()
        again = await send(desk, content)
        assert (again.status_code, again.json()) == (200, first)
        with_tolerance = await send(desk, content, "&tolerance_bp=5000")
        assert with_tolerance.status_code == 201
        assert with_tolerance.json()["agrees"] is True
        assert with_tolerance.json()["digest"] == first["digest"]

        await furnish(desk, Usage(input=100))
        later = await send(desk, content)
        assert later.status_code == 201
        assert later.json()["agrees"] is True
        assert later.json()["as_of_position"] > first["as_of_position"]
        shown = (await desk.get(f"/reconciliations/{first['id']}")).json()
        assert shown["reconciliation"] == first
        with psycopg.connect(servers.dsn) as connection:
            row = connection.execute(
                "select (select count(*) from operations.reconciliation_import), "
                "(select count(*) from operations.reconciliation_import_entry)"
            ).fetchone()
        assert row == (1, 1)

    with_books(servers, check)


def test_many_at_once_are_one(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        _, day = await furnish(desk, Usage(input=100))
        content = costs(day, ("gpt-4o, input", "0.0005", 200))
        answers = await asyncio.gather(*(send(desk, content) for _ in range(6)))
        assert sorted(each.status_code for each in answers) == [200] * 5 + [201]
        assert len({each.json()["id"] for each in answers}) == 1

    with_books(servers, check)


def test_names_channels_and_days_are_the_operators_to_choose(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        ours, day = await furnish(desk, Usage(input=100))
        other, _ = await furnish(desk, Usage(input=7), kind="compatible")
        dated = costs(day, ("gpt-4o-2024-08-06, input", "0.00025", 100))
        told = (await send(desk, dated)).json()
        assert told["summary"]["suggestions"] == {"gpt-4o-2024-08-06": "gpt-4o"}
        mapping = '&mapping={"models":{"gpt-4o-2024-08-06":"gpt-4o"}}'
        told = (await send(desk, dated, mapping)).json()
        assert told["agrees"] is True
        assert told["models"] == {"gpt-4o-2024-08-06": "gpt-4o"}
        told = (await send(desk, dated, f"{mapping}&channels={other}")).json()
        assert told["summary"]["tokens"]["ours"] == "7"
        told = (await send(desk, dated, f"{mapping}&channels={other},{ours}")).json()
        assert told["summary"]["tokens"]["ours"] == "107"
        told = (await send(desk, dated, f"{mapping}&provider_type=compatible")).json()
        assert told["channels"] == [str(other)]
        before = day - timedelta(days=1)
        told = (await send(desk, dated, f"&from={before}&to={before}")).json()
        assert (told["agrees"], told["lines"]) == (True, 0)
        assert told["summary"]["outside"] == {"tokens": "100", "amount": "0.00025"}

    with_books(servers, check)


def test_the_file_of_a_report_is_whole_and_no_formula(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        _, day = await furnish(desk, Usage(input=100))
        evil = [
            ('=HYPERLINK("http://x"), fee', "-1.50", None),
            ("@SUM(A1)", "0.1", None),
            ("+1", "0.1", None),
            ("-1", "0.1", None),
        ]
        told = (await send(desk, costs(day, ("gpt-4o, input", "0.00025", 100), *evil))).json()
        path = f"/reconciliations/{told['id']}/export"
        sheet = await desk.get(path)
        assert sheet.headers["content-type"].startswith("text/csv")
        assert "attachment" in sheet.headers["content-disposition"]
        rows = list(csv.DictReader(io.StringIO(sheet.text, newline="")))
        assert len(rows) == told["lines"] == 5
        for row in rows:
            assert row["model"][0] not in "=+-@"
        fee = next(row for row in rows if row["model"].startswith("'="))
        assert (fee["their_amount"], fee["our_amount"]) == ("-1.5", "")
        whole = (await desk.get(f"{path}?format=json")).json()
        assert whole["reconciliation"] == told
        assert [line["model"] for line in whole["lines"]] == sorted(
            ["gpt-4o", *(item for item, _, _ in evil)]
        )

    with_books(servers, check)


@pytest.mark.parametrize(
    ("query", "content", "status", "code", "told"),
    [
        ("&format=x", b"x", 422, "invalid_input", "must be given once"),
        ("&mapping={", b"x", 422, "invalid_input", "mapping"),
        ('&mapping={"model":{}}', b"x", 422, "invalid_input", "mapping"),
        ("&from=2026-13-01", None, 422, "invalid_input", "from"),
        ("&to=2099-01-01", None, 422, "invalid_input", "lies in the future"),
        ("&from=2016-01-01", None, 422, "invalid_input", "at most 366 days"),
        ("&from=2026-01-02&to=2026-01-01", None, 422, "invalid_input", "is before"),
        ("&tolerance_bp=-1", None, 422, "invalid_input", ""),
        ("&tolerance_bp=10001", None, 422, "invalid_input", ""),
        ("&tolerance_usd=1e3", None, 422, "invalid_input", ""),
        ("&channels=x", None, 422, "invalid_input", "channels"),
        (f"&channels={UUID(int=9)}", None, 404, "not_found", "no channel"),
        ("&provider_type=gemini", None, 404, "not_found", "gemini"),
        ("&provider_type=openai&channels=" + str(UUID(int=9)), None, 422, "invalid_input", ""),
        ("", b"", 422, "invalid_file", "is empty"),
        ("", b"\x00\xff\xfe binary", 422, "invalid_file", "UTF-8"),
        ("", b"a,b\n1,2\n", 422, "invalid_file", "no column"),
        ("", b'{"data": [', 422, "invalid_file", "is not JSON"),
    ],
)
def test_what_is_refused_leaves_nothing(
    servers: Servers, query: str, content: bytes | None, status: int, code: str, told: str
) -> None:
    async def check(desk: OpenDesk) -> None:
        _, day = await furnish(desk, Usage(input=100))
        good = costs(day, ("gpt-4o, input", "0.00025", 100))
        answer = await send(desk, good if content is None else content, query)
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
        assert told in answer.text
        assert (await desk.get("/reconciliations")).json()["reconciliations"] == []

    with_books(servers, check)


def test_bad_rows_are_named_each(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        content = b"start_time,end_time,amount_value,amount_currency\n1,2,x,usd\n1,2,1,usd\n"
        answer = await send(desk, content)
        assert answer.json()["errors"] == [
            {"field": "line 2, start_time", "detail": "1970-01-01 is before 2015-01-01"},
            {"field": "line 3, start_time", "detail": "1970-01-01 is before 2015-01-01"},
        ]
        unknown = await desk.post("/reconciliations?format=invoice", content=b"x", headers=BINARY)
        assert (unknown.status_code, unknown.json()["code"]) == (422, "invalid_input")

    with_books(servers, check)


def test_a_file_may_be_larger_than_other_bodies_and_not_endless(servers: Servers) -> None:
    most = LARGER_BODIES["POST", "/reconciliations"]

    async def check(desk: OpenDesk) -> None:
        _, day = await furnish(desk, Usage(input=100))
        good = costs(day, ("gpt-4o, input", "0.00025", 100))
        assert (await send(desk, good.ljust(most))).status_code == 201
        answer = await send(desk, good.ljust(most + 1))
        assert (answer.status_code, answer.json()["code"]) == (413, "request_too_large")

    with_books(servers, check)


def test_what_is_not_there_is_not_found(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        for path in (f"/reconciliations/{uuid4()}", f"/reconciliations/{uuid4()}/export"):
            answer = await desk.get(path)
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found")

    with_books(servers, check)


def test_before_anything_is_folded_the_answer_is_to_wait(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        _, day = await furnish(desk, Usage(input=100))
        answer = await send(desk, costs(day, ("gpt-4o, input", "0.00025", 100)))
        assert (answer.status_code, answer.json()["code"]) == (503, "not_caught_up")

    at_desk(servers, check)


def test_finance_may_reconcile_and_an_auditor_may_read(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        _, day = await furnish(desk, Usage(input=100))
        content = costs(day, ("gpt-4o, input", "0.00025", 100))
        finance, auditor = await desk.operator("finance"), await desk.operator("auditor")
        assert (await send(desk, content, token=auditor)).status_code == 403
        told = (await send(desk, content, token=finance)).json()
        assert told["actor"].startswith("operator:")
        for path in ("", f"/{told['id']}", f"/{told['id']}/export"):
            answer = await desk.get(f"/reconciliations{path}", token=auditor)
            assert answer.status_code == 200

    with_books(servers, check)
