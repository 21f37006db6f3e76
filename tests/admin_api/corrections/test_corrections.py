"""What-if writes nothing and tells everything; a correction does what was approved, once."""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import httpx2
import psycopg

from admin_api.corrections.jobs import correction, reprice
from admin_api.corrections.operations import corrections
from admin_api.operators.operations import find_operator
from ledger.fsck import check_ledger
from ledger.ids import entity_id
from ledger.pricing import Multiplier, Price
from ledger.store.reader import read_head
from ledger.streams import group, price
from ledger.streams.charge import rules as charge
from projections.catching_up import caught_up
from projections.views import adjustments as view
from tests.admin_api.desks import OpenDesk, Servers, at_desk
from tests.admin_api.jobs.test_jobs import carry_out

PAID, CHEAPER, DEARER = "0.0018", "0.0009", "0.0036"
SOLD = Price(rates={"input": 1_000_000_000, "output": 2_000_000_000})
HALF = Price(rates={"input": 500_000_000, "output": 1_000_000_000})
"""Half of what the calls of `OpenDesk.settled_call` were charged."""


async def asked(desk: OpenDesk, servers: Servers, **question: Any) -> dict[str, Any]:  # noqa: ANN401
    """The job that answers a what-if, done."""
    answer = await desk.post("/ledger/reprices", json=question)
    assert answer.status_code == 202, answer.text
    assert await carry_out(servers, reprice.KIND)
    told: dict[str, Any] = (await desk.get(f"/jobs/{answer.json()['job']}")).json()
    assert told["state"] == "done", told
    return told


async def propose(
    desk: OpenDesk,
    job: dict[str, Any],
    direction: str = "both",
    **options: Any,  # noqa: ANN401
) -> httpx2.Response:
    body = {"job": job["id"], "direction": direction, "code": "billing_error", "reason": "so"}
    return await desk.post("/corrections", json=body, **options)


async def approve(desk: OpenDesk, adjustment: str, token: str) -> httpx2.Response:
    return await desk.post(f"/adjustments/{adjustment}/approve", token=token)


async def post(desk: OpenDesk, servers: Servers, adjustment: str, token: str) -> dict[str, Any]:
    """Approve a correction and carry it out; its job."""
    answer = await approve(desk, adjustment, token)
    assert answer.status_code == 200, answer.text
    assert await carry_out(servers, correction.KIND)
    told: dict[str, Any] = (await desk.get(f"/jobs/{answer.json()['job']}")).json()
    return told


async def balance(desk: OpenDesk, account: str) -> str:
    told: str = (await desk.get(f"/accounts/{account}/balance")).json()["posted"]
    return told


async def paid(desk: OpenDesk, call: UUID) -> str:
    told: str = (await desk.get(f"/requests/{call}")).json()["cost"]
    return told


async def draft(desk: OpenDesk, model: str = "m", prices: Price = HALF, book: str = "d") -> None:
    stream_id = price.price_stream_id(model, book)
    command = price.SetPrice(model, prices, 0, "test", book=book)
    await desk.desk.handle(price.STREAM, stream_id, command)


async def sell(desk: OpenDesk) -> None:
    """The price under which the calls of `OpenDesk.settled_call` are made, and what they pay."""
    await draft(desk, prices=SOLD, book=price.SALE)
    pays = group.SetGroup("default", Multiplier(3, 2), "test")
    await desk.desk.handle(group.STREAM, group.group_stream_id("default"), pays)


async def customers(desk: OpenDesk, *calls: int) -> list[tuple[str, list[UUID]]]:
    """Accounts with 1 USD each and so many calls."""
    made = []
    for count in calls:
        account = await desk.account()
        await desk.credit(account, "1")
        key, _ = await desk.key(account)
        made.append((account, [await desk.settled_call(account, key) for _ in range(count)]))
    return made


def everything(dsn: str) -> list[Any]:
    """All tables of the database but the jobs, row by row."""
    with psycopg.connect(dsn) as connection:
        tables = connection.execute(
            "select table_schema, table_name from information_schema.tables "
            "where table_type = 'BASE TABLE' and table_name not like 'job%' "
            "and table_schema not in ('pg_catalog', 'information_schema') order by 1, 2"
        ).fetchall()
        return [
            (name, connection.execute(f'select * from "{schema}"."{name}" order by 1').fetchall())
            for schema, name in tables
        ]


def test_a_what_if_tells_before_and_after_and_writes_nothing(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        (one, calls), (two, _) = await customers(desk, 2, 1)
        await draft(desk)
        before = everything(servers.dsn)
        answer = (await asked(desk, servers, book="d"))["result"]["answer"]
        assert everything(servers.dsn) == before
        total = answer["total"]
        assert (total["calls"], total["lowered_calls"], total["raised_calls"]) == (3, 3, 0)
        assert (total["before"], total["after"]) == ("0.0054", "0.0027")
        assert total["difference"] == total["lowered"] == "-0.0027"
        assert [each["model"] for each in answer["models"]] == ["m"]
        accounts = [(each["account"], each["sums"]["difference"]) for each in answer["accounts"]]
        assert accounts == [(one, "-0.0018"), (two, "-0.0009")]
        assert (answer["raised"], answer["unpriced"], len(answer["lowered"])) == ([], [], 3)
        call = next(each for each in answer["lowered"] if each["request"] == str(calls[0]))
        assert (call["before"], call["after"]) == (PAID, CHEAPER)
        assert [line["price"] for line in call["lines_after"]] == ["0.5", "1"]
        assert [line["price"] for line in call["lines_before"]] == ["1", "2"]
        of_one = (await asked(desk, servers, book="d", accounts=[two]))["result"]["answer"]
        assert of_one["total"]["difference"] == "-0.0009"
        of_sale = await desk.post("/ledger/reprices", json={"book": "sale"})
        assert of_sale.status_code == 404  # nobody set a price that customers pay
        none = (await asked(desk, servers, book="d", models=["other"]))["result"]["answer"]
        assert none["total"]["calls"] == 0

    at_desk(servers, check)


def test_a_price_or_a_multiplier_alone_is_a_question_too(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        await customers(desk, 1)
        dearer = {"m": {"input": "2", "output": "4"}}
        answer = (await asked(desk, servers, prices=dearer))["result"]["answer"]
        assert (answer["total"]["after"], answer["total"]["raised_calls"]) == (DEARER, 1)
        answer = (await asked(desk, servers, multipliers={"default": "1"}))["result"]["answer"]
        assert answer["total"]["after"] == "0.0012"
        answer = (await asked(desk, servers, multipliers={"vip": "9"}))["result"]["answer"]
        assert (answer["total"]["calls"], answer["total"]["difference"]) == (1, "0")

    at_desk(servers, check)


def test_calls_that_cannot_be_repriced_are_counted_with_the_reason(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        ((_, calls),) = await customers(desk, 2)
        await draft(desk, "another")
        answer = (await asked(desk, servers, book="d"))["result"]["answer"]
        assert answer["total"]["calls"] == 0
        assert (answer["unpriced_calls"], answer["unpriced_paid"]) == (2, "0.0036")
        (unpriced,) = answer["unpriced"]
        assert (unpriced["model"], unpriced["cause"], unpriced["calls"]) == ("m", "no_price", 2)
        assert unpriced["examples"] == [str(call) for call in calls]

    at_desk(servers, check)


def test_a_period_is_of_positions_or_times(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        ((_, calls),) = await customers(desk, 3)
        requests = [(await desk.get(f"/requests/{call}")).json() for call in calls]
        closed = [request["positions"][-1] for request in requests]
        await draft(desk)
        for period, expected in (
            ({"from": str(closed[0]), "to": str(closed[1])}, 2),
            ({"from": str(closed[1] + 1)}, 1),
            ({"from": requests[1]["closed_at"]}, 2),
            ({"to": requests[1]["closed_at"]}, 1),
            ({"from": "2020-01-01"}, 3),
        ):
            answer = (await asked(desk, servers, book="d", **period))["result"]["answer"]
            assert answer["total"]["calls"] == expected, period

    at_desk(servers, check)


def test_bad_questions_are_refused(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        await customers(desk, 1)
        await draft(desk)
        for question, status in (
            ({}, 422),
            ({"book": "nothing"}, 404),
            ({"book": "d", "accounts": [str(entity_id())]}, 404),
            ({"book": "d", "from": "999999"}, 422),
            ({"book": "d", "from": "2999-01-01"}, 422),
            ({"book": "d", "from": "3", "to": "2"}, 422),
            ({"book": "d", "to": "1970-01-02"}, 422),
            ({"book": "d", "as_of": "yesterday"}, 422),
            ({"prices": {"m": {"tokens": "1"}}}, 422),
            ({"prices": {"m": {}}}, 422),
            ({"prices": {"m": {"input": "-1"}}}, 422),
            ({"multipliers": {"default": "x"}}, 422),
            ({"book": "d", "model": "m"}, 422),
        ):
            answer = await desk.post("/ledger/reprices", json=question)
            assert answer.status_code == status, (question, answer.text)

    at_desk(servers, check)


def test_a_correction_does_what_was_approved_and_says_so(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        await sell(desk)
        (one, calls), (two, others) = await customers(desk, 2, 1)
        second = await desk.approver()
        await draft(desk)
        job = await asked(desk, servers, book="d")
        proposed = await propose(desk, job)
        assert proposed.status_code == 201, proposed.text
        adjustment = proposed.json()["id"]
        own = await desk.post(f"/adjustments/{adjustment}/approve")
        assert (own.status_code, own.json()["code"]) == (409, "four_eyes")
        assert await balance(desk, one) == "0.9964"
        told = await post(desk, servers, adjustment, second)
        assert told["state"] == "done", told
        assert told["result"] == {
            "adjustment": adjustment,
            "accounts": 2,
            "charges": 3,
            "difference": "-0.0027",
            "is_repeated": False,
        }
        assert (await balance(desk, one), await balance(desk, two)) == ("0.9982", "0.9991")
        assert {await paid(desk, call) for call in (*calls, *others)} == {CHEAPER}
        details = (await desk.get(f"/adjustments/{adjustment}")).json()
        assert (details["state"], details["kind"]) == ("posted", "correction")
        corrected = details["correction"]
        assert (corrected["before"], corrected["after"]) == ("0.0054", "0.0027")
        assert (corrected["posted_charges"], corrected["posted_difference"]) == (3, "-0.0027")
        await asyncio.to_thread(_fold, servers.dsn)
        listed = (await desk.get(f"/adjustments?account={one}")).json()["adjustments"]
        assert [each["correction"] for each in listed] == [corrected]
        # The corrected charges count as what was paid: the same question has nothing left.
        answer = (await asked(desk, servers, book="d"))["result"]["answer"]
        assert (answer["total"]["before"], answer["total"]["difference"]) == ("0.0027", "0")
        empty = await propose(desk, await asked(desk, servers, book="d"))
        assert (empty.status_code, empty.json()["code"]) == (409, "not_allowed_now")

    at_desk(servers, check)
    assert list(check_ledger(servers.dsn)) == []


def _fold(dsn: str) -> None:
    with caught_up(dsn, (view.PROJECTION,)):
        pass


def test_a19_the_list_of_approvals_shows_what_a_correction_moves(servers: Servers) -> None:
    """Before and after it is posted, to the customers and from them, and what is rejected."""

    async def check(desk: OpenDesk) -> None:
        await sell(desk)
        await customers(desk, 2, 1)
        second = await desk.approver()
        await draft(desk)
        cheaper = (await propose(desk, await asked(desk, servers, book="d"))).json()["id"]
        double = {"m": {"input": "2", "output": "4"}}
        dearer = (await propose(desk, await asked(desk, servers, prices=double))).json()["id"]

        async def told() -> dict[str, tuple[str, str]]:
            await asyncio.to_thread(_fold, servers.dsn)
            rows = (await desk.get("/adjustments")).json()["adjustments"]
            return {row["id"]: (row["state"], row["amount"]) for row in rows}

        wanted = {cheaper: ("proposed", "0.0027"), dearer: ("proposed", "-0.0054")}
        assert await told() == wanted
        no = await desk.post(f"/adjustments/{dearer}/reject", json={"reason": "no"}, token=second)
        assert no.json()["amount"] == "-0.0054"
        assert (await post(desk, servers, cheaper, second))["state"] == "done"
        assert await told() == {
            cheaper: ("posted", "0.0027"),
            dearer: ("rejected", "-0.0054"),
        }
        assert (await desk.get(f"/adjustments/{cheaper}")).json()["amount"] == "0.0027"

    at_desk(servers, check)


def test_in_the_customers_favour_nothing_rises(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        await sell(desk)
        ((account, calls),) = await customers(desk, 1)
        second = await desk.approver()
        job = await asked(desk, servers, prices={"m": {"input": "9", "output": "9"}})
        refused = await propose(desk, job, "customer")
        assert (refused.status_code, refused.json()["code"]) == (409, "not_allowed_now")
        adjustment = (await propose(desk, job, "both")).json()["id"]
        await post(desk, servers, adjustment, second)
        assert await paid(desk, calls[0]) == "0.01485"
        assert await balance(desk, account) == "0.98515"

    at_desk(servers, check)
    assert list(check_ledger(servers.dsn)) == []


def test_numbers_that_changed_since_are_not_posted(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        await sell(desk)
        ((account, calls),) = await customers(desk, 2)
        second = await desk.approver()
        await draft(desk)
        adjustment = (await propose(desk, await asked(desk, servers, book="d"))).json()["id"]
        await draft(desk, prices=Price(rates={"input": 1, "output": 1}))
        told = await post(desk, servers, adjustment, second)
        assert told["state"] == "failed"
        assert "changed since it was proposed" in told["error"]
        assert await balance(desk, account) == "0.9964"
        details = (await desk.get(f"/adjustments/{adjustment}")).json()
        assert details["state"] == "proposed"
        assert (
            await desk.post(f"/adjustments/{adjustment}/reject", json={"reason": "stale"})
        ).status_code == 200
        # So does a refund of one of the charges.
        adjustment = (await propose(desk, await asked(desk, servers, book="d"))).json()["id"]
        refund = charge.Adjust(entity_id(), -1_800_000, "refund", "test")
        await desk.desk.handle(charge.STREAM, calls[0], refund)
        assert (await post(desk, servers, adjustment, second))["state"] == "failed"
        assert await balance(desk, account) == "0.9982"

    at_desk(servers, check)
    assert list(check_ledger(servers.dsn)) == []


class Killed(Exception):
    """The process ends here."""


def test_a_correction_cut_off_anywhere_is_finished_and_nothing_is_done_twice(
    servers: Servers,
) -> None:
    async def check(desk: OpenDesk) -> None:
        await sell(desk)
        made = await customers(desk, 3, 2)
        second, third = await desk.approver(), await desk.approver()
        actor = await _actor(desk, second)
        await draft(desk)
        job = await asked(desk, servers, book="d")
        adjustment = UUID((await propose(desk, job)).json()["id"])
        other = await propose(desk, job)
        for appends in (1, 2, 4, 5):
            await _cut_off_after(desk, appends, adjustment, actor)
        # Another one waits until this one is whole.
        answer = await post(desk, servers, other.json()["id"], third)
        assert answer["state"] == "failed"
        told = await post(desk, servers, str(adjustment), third)
        assert told["result"]["charges"] == 5
        assert told["result"]["difference"] == "-0.0045"
        for account, calls in made:
            assert {await paid(desk, call) for call in calls} == {CHEAPER}
            spent = 9 * len(calls)
            assert await balance(desk, account) == f"0.99{100 - spent}".rstrip("0")
        again = (await approve(desk, str(adjustment), third)).json()
        assert (again["state"], again["job"]) == ("posted", None)

    at_desk(servers, check)
    assert list(check_ledger(servers.dsn)) == []


async def _actor(desk: OpenDesk, token: str) -> str:
    found = await find_operator(desk.desk, token)
    assert found is not None
    return f"operator:{found[0]}"


async def _cut_off_after(desk: OpenDesk, appends: int, adjustment: UUID, actor: str) -> None:
    """Post the correction; the process ends after so many commands."""
    left = appends
    handle = desk.desk.ledger.handle_together

    async def handle_some(requests: Sequence[Any]) -> Any:  # noqa: ANN401 - as it gives it
        nonlocal left
        if left == 0:
            raise Killed
        left -= 1
        return await handle(requests)

    desk.desk.ledger.handle_together = handle_some  # type: ignore[method-assign]
    try:
        await corrections.post_correction(
            desk.desk, adjustment, lambda _done, _total: None, actor=actor
        )
    except Killed:
        return
    finally:
        del desk.desk.ledger.handle_together
    raise AssertionError("it was to be cut off")


def test_two_corrections_at_once_do_not_take_the_same_charges(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        await sell(desk)
        ((account, _),) = await customers(desk, 4)
        second = await _actor(desk, await desk.approver())
        await draft(desk)
        job = await asked(desk, servers, book="d")
        ids = [UUID((await propose(desk, job)).json()["id"]) for _ in range(3)]
        outcomes = await asyncio.gather(
            *(
                corrections.post_correction(desk.desk, each, lambda _d, _t: None, actor=second)
                for each in ids
            ),
            return_exceptions=True,
        )
        assert sum(not isinstance(outcome, BaseException) for outcome in outcomes) == 1
        assert await balance(desk, account) == "0.9964"

    at_desk(servers, check)
    assert list(check_ledger(servers.dsn)) == []


def test_a_correction_needs_a_finished_what_if(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        await customers(desk, 1)
        await draft(desk)
        waiting = (await desk.post("/ledger/reprices", json={"book": "d"})).json()["job"]
        answer = await propose(desk, {"id": waiting})
        assert (answer.status_code, answer.json()["code"]) == (409, "not_allowed_now")
        answer = await propose(desk, {"id": str(entity_id())})
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        assert (await desk.ask("DELETE", f"/jobs/{waiting}")).json()["state"] == "cancelled"
        async with desk.desk.pool.connection() as connection:
            head, _ = await read_head(connection)
        job = await asked(desk, servers, book="d")
        key = {"idempotency-key": "once"}
        first = await propose(desk, job, headers=key)
        assert (await propose(desk, job, headers=key)).json() == first.json()
        assert first.json()["position"] == head + 1
        assert (await propose(desk, job, "customer", headers=key)).status_code == 409

    at_desk(servers, check)
