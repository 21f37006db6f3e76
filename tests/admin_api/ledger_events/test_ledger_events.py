"""The log as the desk tells it."""

from uuid import uuid4

import pytest

from admin_api.ledger_events import operations as ledger_events
from ledger.codec import decode, encode
from tests.admin_api.desks import OpenDesk, Servers, at_desk


def test_the_whole_log_is_read_page_by_page_without_gaps(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account_id = await desk.account()
        for _ in range(6):
            await desk.credit(account_id, "1")
        positions: list[int] = []
        after: int | None = 0
        while after is not None:
            page = (await desk.get(f"/ledger/events?limit=4&after={after}")).json()
            positions += [event["position"] for event in page["events"]]
            after = page["next"]
        assert positions == list(range(1, page["head"] + 1))

    at_desk(servers, check)


def test_an_event_is_told_byte_for_byte(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account_id = await desk.account()
        await desk.one_operator()
        await desk.credit(account_id, "999999999.999999999")
        path = f"/ledger/events?account={account_id}&type=credit.CreditGranted.v1"
        answer = await desk.get(path)
        event = answer.json()["events"][0]
        assert set(event) == {"position", "stream", "version", "type", "recorded_at", "data"}
        assert event["data"]["amount_nanos"] == 999_999_999_999_999_999
        async with desk.desk.pool.connection() as connection:
            cursor = await connection.execute(
                "select state from ledger.event where position = %s", (event["position"],)
            )
            row = await cursor.fetchone()
        assert row is not None
        assert row[0] in answer.content
        assert encode(decode(event["type"], row[0])) == row[0]

    at_desk(servers, check)


def test_every_condition_narrows(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        one, other = await desk.account(), await desk.account()
        key_id, _ = await desk.key(one)
        await desk.credit(one, "1")
        await desk.credit(other, "1")
        call_id = await desk.settled_call(one, key_id)
        for query, types in (
            (f"account={other}", ["account.AccountOpened.v1", "credit.CreditGranted.v1"]),
            (f"stream={call_id}", ["charge.QuotaReserved.v1", "charge.UsageSettled.v1"]),
            (f"stream={call_id}&type=charge.UsageSettled.v1", ["charge.UsageSettled.v1"]),
            (f"stream={call_id}&account={other}", []),
            (f"account={one}&type=api_key.KeyIssued.v1", ["api_key.KeyIssued.v1"]),
            ("type=credit.CreditGranted.v1", ["credit.CreditGranted.v1"] * 2),
            (f"stream={uuid4()}", []),
        ):
            page = (await desk.get(f"/ledger/events?{query}")).json()
            assert [event["type"] for event in page["events"]] == types, query
            assert page["next"] is None

    at_desk(servers, check)


def test_a_rare_type_is_found_by_following_empty_pages(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_events, "SCANNED_MAX", 3)

    async def check(desk: OpenDesk) -> None:
        account_id = await desk.account()
        for _ in range(10):
            await desk.credit(account_id, "1")
        await desk.ask("PUT", "/groups/g", json={"multiplier": "1"})
        found: list[str] = []
        pages = 0
        after: int | None = 0
        while after is not None:
            page = (await desk.get(f"/ledger/events?type=group.GroupSet.v1&after={after}")).json()
            found += [event["type"] for event in page["events"]]
            pages, after = pages + 1, page["next"]
        assert found == ["group.GroupSet.v1"]
        assert pages > 3

    at_desk(servers, check)


def test_a_type_that_does_not_exist_is_refused(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        for name in ("credit", "credit.%", "credit.CreditGranted.v2", "' or 1=1 --"):
            answer = await desk.get("/ledger/events", params={"type": name})
            assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")

    at_desk(servers, check)


def test_beyond_the_end_there_is_nothing(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        page = (await desk.get("/ledger/events?after=1000000")).json()
        assert (page["events"], page["next"]) == ([], None)
        assert page["head"] > 0

    at_desk(servers, check)
