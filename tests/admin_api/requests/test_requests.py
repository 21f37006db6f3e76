"""One call, told to operators and to the key that made it, and to nobody else."""

from uuid import UUID, uuid4

import pytest

from admin_api.fields.inputs import format_moment
from ledger import clock
from ledger.ids import charge_id, entity_id
from ledger.streams.charge import rules as charge
from ledger.streams.charge.events import Attempt, Cost
from ledger.usage import Usage
from tests.admin_api.desks import OpenDesk, Servers, at_desk


def test_a_settled_call_tells_usage_lines_cost_and_positions(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account_id = await desk.account()
        key_id, _ = await desk.key(account_id)
        await desk.credit(account_id, "1")
        call_id = await desk.settled_call(account_id, key_id)
        told = (await desk.get(f"/requests/{call_id}")).json()
        assert told["status"] == "settled"
        assert told["usage"] == {"input": 1_000, "output": 100}
        assert told["lines"] == [
            {"kind": "input", "units": 1_000, "price": "1", "per_units": 10**6, "base": "0.001"},
            {"kind": "output", "units": 100, "price": "2", "per_units": 10**6, "base": "0.0002"},
        ]
        assert (told["multiplier"], told["charged"], told["cost"]) == ("1.5", "0.0018", "0.0018")
        assert (told["held"], told["shortfall"], told["basis"]) == ("0", "0", "measured")
        assert told["attempts"][0]["channel_id"] == told["channel_id"]
        assert told["upstream_model"] == "upstream-m"
        page = (await desk.get(f"/ledger/events?stream={call_id}")).json()
        assert told["positions"] == [event["position"] for event in page["events"]]
        balance = (await desk.get(f"/accounts/{account_id}/balance")).json()
        assert balance["posted"] == "0.9982"

    at_desk(servers, check)


def test_a_refund_and_a_correction_are_told(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account_id = await desk.account()
        key_id, _ = await desk.key(account_id)
        await desk.credit(account_id, "1")
        call_id = await desk.settled_call(account_id, key_id)
        handle = desk.desk.ledger.handle
        adjust = charge.Adjust(entity_id(), -800_000, "refund", "operator:x")
        await handle(charge.STREAM, call_id, adjust)
        told = (await desk.get(f"/requests/{call_id}")).json()
        assert (told["charged"], told["cost"]) == ("0.0018", "0.001")
        assert told["adjustments"][0]["delta"] == "-0.0008"

    at_desk(servers, check)


def test_a_key_reads_its_own_calls_and_learns_no_channel(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account_id = await desk.account()
        key_id, secret = await desk.key(account_id)
        await desk.credit(account_id, "1")
        call_id = await desk.settled_call(account_id, key_id)
        answer = await desk.get(f"/requests/{call_id}", token=secret)
        told = answer.json()
        assert (answer.status_code, told["status"], told["cost"]) == (200, "settled", "0.0018")
        assert told["channel_id"] is told["upstream_model"] is None
        assert [attempt["channel_id"] for attempt in told["attempts"]] == [None]
        by_operator = (await desk.get(f"/requests/{call_id}")).json()
        assert by_operator["channel_id"] not in answer.text

    at_desk(servers, check)


def test_a2_what_a_try_used_and_costs_is_told_to_operators_alone(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account_id = await desk.account()
        key_id, secret = await desk.key(account_id)
        await desk.credit(account_id, "1")
        spent = Attempt(
            channel_id=entity_id(),
            outcome="failed",
            status=500,
            usage=Usage(input=7, calls=1),
            upstream_model="upstream-m",
            cost=Cost(book="cost", price_version=1, amount_nanos=3_500),
        )
        call_id = await desk.settled_call(account_id, key_id, spent)
        first, last = (await desk.get(f"/requests/{call_id}")).json()["attempts"]
        assert (first["channel_id"], first["outcome"]) == (str(spent.channel_id), "failed")
        assert (first["usage"], first["cost"]) == ({"input": 7, "calls": 1}, "0.0000035")
        assert (last["usage"], last["cost"]) == (None, None)
        for told in (await desk.get(f"/requests/{call_id}", token=secret)).json()["attempts"]:
            assert told["channel_id"] is told["usage"] is told["cost"] is None

    at_desk(servers, check)


def test_what_is_anothers_does_not_exist(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        one, other = await desk.account(), await desk.account()
        (one_key, one_secret), (other_key, other_secret) = (
            await desk.key(one),
            await desk.key(other),
        )
        _, sibling = await desk.key(one)
        await desk.credit(one, "1")
        await desk.credit(other, "1")
        one_call = await desk.settled_call(one, one_key)
        other_call = await desk.settled_call(other, other_key)
        refusal = await _refuse(desk, one, one_key)
        unknown = await desk.get(f"/requests/{uuid4()}", token=one_secret)
        assert unknown.status_code == 404
        for call_id, token in (
            (one_call, other_secret),
            (other_call, one_secret),
            (one_call, sibling),
            (refusal, other_secret),
            (refusal, sibling),
            (UUID(one), one_secret),
        ):
            answer = await desk.get(f"/requests/{call_id}", token=token)
            assert answer.status_code == 404
            differing = {"request_id"}
            assert {k: v for k, v in answer.json().items() if k not in differing} == {
                k: v for k, v in unknown.json().items() if k not in differing
            }
        assert (await desk.get(f"/requests/{refusal}", token=one_secret)).status_code == 200

    at_desk(servers, check)


def test_a_key_opens_no_other_route(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account_id = await desk.account()
        _, secret = await desk.key(account_id)
        for path in (
            f"/accounts/{account_id}",
            f"/accounts/{account_id}/keys",
            "/accounts",
            "/channels",
            "/prices",
            "/groups",
            "/ledger/events",
        ):
            assert (await desk.get(path, token=secret)).status_code == 401, path
        strangers = f"/accounts/{await desk.account()}"
        for path in (
            f"{strangers}/balance",
            f"{strangers}/statement",
            f"{strangers}/statement.pdf",
        ):
            assert (await desk.get(path, token=secret)).status_code == 404, path

    at_desk(servers, check)


def test_a_key_that_opens_nothing_any_more_reads_nothing(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account_id = await desk.account()
        await desk.credit(account_id, "1")
        revoked_id, revoked = await desk.key(account_id)
        _, elsewhere = await desk.key(account_id, allowed_ips=["192.0.2.1"])
        _, here = await desk.key(account_id, allowed_ips=["127.0.0.0/8"])
        soon = clock.now_us() + 300_000
        expiring = format_moment(soon)
        _, expired = await desk.key(account_id, expires_at=expiring)
        call_id = await desk.settled_call(account_id, revoked_id)
        path = f"/requests/{call_id}"
        assert (await desk.get(path, token=revoked)).status_code == 200
        await desk.ask("DELETE", f"/keys/{revoked_id}")
        await desk.desk.up_to_date()
        while clock.now_us() <= soon:
            await desk.get("/groups")
        for token in (revoked, elsewhere, expired):
            assert (await desk.get(path, token=token)).status_code == 401
        assert (await desk.get(path, token=here)).status_code == 404

    at_desk(servers, check)


def test_an_open_call_and_a_refused_one_are_told(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account_id = await desk.account()
        key_id, _ = await desk.key(account_id)
        refusal = await _refuse(desk, account_id, key_id)
        told = (await desk.get(f"/requests/{refusal}")).json()
        assert (told["status"], told["reason"], told["http_status"]) == (
            "refused",
            "insufficient_quota",
            429,
        )
        assert told["positions"] == []

    at_desk(servers, check)


@pytest.mark.parametrize("excess", [0, 1])
def test_at_least_waits_for_the_log(servers: Servers, excess: int) -> None:
    async def check(desk: OpenDesk) -> None:
        account_id = await desk.account()
        key_id, _ = await desk.key(account_id)
        await desk.credit(account_id, "1")
        call_id = await desk.settled_call(account_id, key_id)
        head = (await desk.get("/ledger/events?limit=1")).json()["head"]
        answer = await desk.get(f"/requests/{call_id}?at_least={head + excess}")
        if excess:
            assert (answer.status_code, answer.json()["code"]) == (503, "not_caught_up")
            assert answer.headers["retry-after"] == "1"
        else:
            assert answer.status_code == 200

    at_desk(servers, check)


async def _refuse(desk: OpenDesk, account_id: str, key_id: str) -> UUID:
    """A call that the gateway refused before it held anything."""
    refusal_id = charge_id()
    async with desk.desk.pool.connection() as connection:
        await connection.execute(
            "insert into operations.refusal "
            "(refusal_id, account_id, key_id, model, status, code) values (%s, %s, %s, %s, %s, %s)",
            (refusal_id, account_id, key_id, "m", 429, "insufficient_quota"),
        )
    return refusal_id
