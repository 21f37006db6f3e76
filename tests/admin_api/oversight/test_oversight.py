"""A16: large credits take two people, who are two; and whoever could do it alone is reported."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest

from admin_api.adjustments import hands
from admin_api.adjustments.hands import Act, one_hand
from ledger.codec import decode
from ledger.fsck import check_ledger
from ledger.ids import entity_id
from ledger.store.reader import Recorded
from ledger.streams.contract import Event
from ledger.streams.credit import CreditGranted
from ledger.streams.user import (
    IdentityLinked,
    IdentityUnlinked,
    RoleChanged,
    UserDisabled,
    UserEnabled,
    UserRegistered,
)
from projections.catching_up import caught_up
from projections.views import adjustments, audit_trail
from tests.admin_api.desks import OpenDesk, Servers, at_desk


@pytest.fixture
def grown_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Operators are old enough at once; who made whom counts as ever."""
    monkeypatch.setattr(hands, "LEAST_AGE", timedelta(0))


async def credit(desk: OpenDesk, account: str, amount: str, **options: Any) -> Any:  # noqa: ANN401
    body = {
        "amount": amount,
        "reason": "an invoice",
        "source": "payment",
        "method": "bank",
        "reference": "INV-7",
    }
    return await desk.post(f"/accounts/{account}/credits", json=body, **options)


async def posted(desk: OpenDesk, account: str) -> str:
    told: str = (await desk.get(f"/accounts/{account}/balance")).json()["posted"]
    return told


async def approve(desk: OpenDesk, adjustment: str, token: str | None = None) -> Any:  # noqa: ANN401
    options = {} if token is None else {"token": token}
    return await desk.post(f"/adjustments/{adjustment}/approve", **options)


def seen(servers: Servers, *projections: Any) -> None:  # noqa: ANN401
    with caught_up(servers.dsn, projections):
        pass


@pytest.mark.parametrize(
    ("amount", "status"), [("100", 201), ("100.000000001", 202), ("999999999", 202)]
)
def test_a16_what_is_above_the_threshold_is_a_proposal(
    servers: Servers, amount: str, status: int
) -> None:
    async def check(desk: OpenDesk) -> None:
        account = await desk.account()
        answer = await credit(desk, account, amount)
        assert answer.status_code == status, answer.text
        assert (answer.json()["adjustment"] is None) == (status == 201)
        assert await posted(desk, account) == (amount if status == 201 else "0")

    at_desk(servers, check)


@pytest.mark.usefixtures("grown_up")
def test_a16_another_operator_grants_it_as_it_was_proposed(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account = await desk.account()
        proposer, approver = await desk.operator("finance"), await desk.operator("finance")
        answer = (await credit(desk, account, "250.5", token=proposer)).json()
        adjustment = answer["adjustment"]
        assert (await approve(desk, adjustment, proposer)).json()["code"] == "four_eyes"
        assert await posted(desk, account) == "0"
        for _ in range(2):
            told = (await approve(desk, adjustment, approver)).json()
            assert (told["kind"], told["state"], told["amount"]) == ("credit", "posted", "250.5")
        assert await posted(desk, account) == "250.5"
        seen(servers, adjustments.PROJECTION)
        (row,) = (await desk.get("/adjustments")).json()["adjustments"]
        assert (row["state"], row["amount"], row["account"]) == ("posted", "250.5", account)
        assert row["posted_position"] == row["decided_position"]
        (of_account,) = (await desk.get(f"/adjustments/{adjustment}/accounts")).json()["accounts"]
        assert of_account["amount"] == "250.5"
        assert of_account["position"] == row["decided_position"] + 1

    at_desk(servers, check)
    assert list(check_ledger(servers.dsn)) == []
    (granted,) = granted_in(servers)
    assert (granted.method, granted.reference, granted.source) == ("bank", "INV-7", "top_up")


def granted_in(servers: Servers) -> list[CreditGranted]:
    with psycopg.connect(servers.dsn) as connection:
        rows = connection.execute(
            "select state from ledger.event where topic = %s", (CreditGranted.TOPIC,)
        ).fetchall()
    events = [decode(CreditGranted.TOPIC, row[0]) for row in rows]
    assert all(isinstance(event, CreditGranted) for event in events)
    return events  # type: ignore[return-value]  # as was just seen


def test_a16_root_does_not_approve_by_an_operator_of_its_own_making(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account = await desk.account()
        adjustment = (await credit(desk, account, "999999999")).json()["adjustment"]
        second = await desk.operator("finance")
        answer = await approve(desk, adjustment, second)
        assert (answer.status_code, answer.json()["code"]) == (409, "four_eyes")
        assert "was registered by the proposer" in answer.json()["detail"]
        assert await posted(desk, account) == "0"

    at_desk(servers, check)


def test_a16_nobody_approves_on_the_day_of_being_made(servers: Servers) -> None:
    """Of adjustments and reversals as well: whatever takes two people."""

    async def check(desk: OpenDesk) -> None:
        account = await desk.account()
        position = (await desk.credit(account, "3")).json()["position"]
        proposer, approver = await desk.operator("finance"), await desk.operator("finance")
        move = {"code": "goodwill", "reason": "sorry"}
        new = {"account": account, "amount": "1", "direction": "credit", **move}
        for asked, body in (
            ("/adjustments", new),
            ("/reversals", {"position": position, **move}),
            (f"/accounts/{account}/credits", {"amount": "200", "reason": "paid"}),
        ):
            told = (await desk.post(asked, json=body, token=proposer)).json()
            answer = await approve(desk, told.get("adjustment") or told["id"], approver)
            assert (answer.status_code, answer.json()["code"]) == (409, "four_eyes"), asked
            assert "less than a day before" in answer.json()["detail"]
        assert await posted(desk, account) == "3"

    at_desk(servers, check)


@pytest.mark.usefixtures("grown_up")
def test_a16_a_repeat_gives_the_first_answer_whatever_the_setting_is_now(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account = await desk.account()
        large, small = {"idempotency-key": "large"}, {"idempotency-key": "small"}
        proposed = await credit(desk, account, "200", headers=large)
        granted = await credit(desk, account, "50", headers=small)
        for limit in ("1000", "10"):
            body = {"value": limit, "reason": "by_decision"}
            answer = await desk.put("/settings/credits.alone_up_to", json=body)
            assert answer.status_code == 200, answer.text
            assert (await credit(desk, account, "200", headers=large)).json() == proposed.json()
            assert (await credit(desk, account, "50", headers=small)).json() == granted.json()
        other = await credit(desk, account, "201", headers=large)
        assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")
        assert (await credit(desk, account, "11")).status_code == 202
        fresh = await desk.account()
        assert (await credit(desk, fresh, "10")).status_code == 201
        assert await posted(desk, account) == "50"

    at_desk(servers, check)


def test_a16_a_house_of_one_operator_says_so_and_is_reported(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account = await desk.account()
        body = {"value": "yes"}
        for name, value in (("approvals.one_operator", "yes"), ("credits.alone_up_to", "9")):
            answer = await desk.put(f"/settings/{name}", json={"value": value})
            assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")
        for name, value in (("approvals.one_operator", "maybe"), ("credits.alone_up_to", "-1")):
            body = {"value": value, "reason": "so"}
            assert (await desk.put(f"/settings/{name}", json=body)).status_code == 422
        await desk.one_operator()
        large = (await credit(desk, account, "150")).json()
        assert large["adjustment"] is None
        assert await posted(desk, account) == "150"
        move = {"code": "goodwill", "reason": "sorry", "direction": "debit"}
        new = {"account": account, "amount": "1", **move}
        adjustment = (await desk.post("/adjustments", json=new)).json()["id"]
        second = await desk.operator("finance")
        assert (await approve(desk, adjustment, second)).json()["state"] == "posted"
        seen(servers, audit_trail.PROJECTION)
        told = (await desk.get("/oversight")).json()
        assert (told["one_operator"], told["alone_up_to"]) == (True, "100")
        (one,) = told["credits"]
        assert (one["position"], one["amount"]) == (large["position"], "150")
        assert (one["alone_up_to"], one["adjustment"]) == ("100", None)
        (approval,) = told["approvals"]
        assert (approval["adjustment"], approval["amount"]) == (adjustment, "-1")
        assert approval["why"] == "was registered by the proposer"
        assert approval["proposed_by"] != approval["approved_by"]
        (change,) = told["settings"]
        assert (change["name"], change["value"]) == ("approvals.one_operator", "yes")
        assert (change["actor"], change["reason"]) == (approval["proposed_by"], "one_operator")

    at_desk(servers, check)


@pytest.mark.usefixtures("grown_up")
def test_a16_the_report_judges_by_what_was_in_force_then(servers: Servers) -> None:
    async def limit(desk: OpenDesk, value: str) -> None:
        body = {"value": value, "reason": "by_decision"}
        await desk.put("/settings/credits.alone_up_to", json=body)

    async def check(desk: OpenDesk) -> None:
        account = await desk.account()
        proposer, approver = await desk.operator("finance"), await desk.operator("finance")
        await limit(desk, "500")
        await credit(desk, account, "300")
        await limit(desk, "20")
        await credit(desk, account, "20")
        adjustment = (await credit(desk, account, "21", token=proposer)).json()["adjustment"]
        await approve(desk, adjustment, approver)
        await limit(desk, "1000")
        seen(servers, audit_trail.PROJECTION)
        told = (await desk.get("/oversight")).json()
        (one,) = told["credits"]
        assert (one["amount"], one["alone_up_to"], one["adjustment"]) == ("21", "20", adjustment)
        assert told["approvals"] == []
        assert [each["value"] for each in told["settings"]] == ["1000", "20", "500"]
        assert (told["one_operator"], told["alone_up_to"]) == (False, "1000")

    at_desk(servers, check)


# ---------------------------------------------------------------------- whose hand it is

EVE, PROPOSER, ROOT, OTHER = (f"operator:{UUID(int=n)}" for n in range(4))
NOW = datetime(2026, 1, 10, 12, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=5)
ME = UUID(int=0)


def registered(actor: str = ROOT) -> Event:
    return UserRegistered(user_id=ME, role="finance", actor=actor)


def linked(actor: str, subject: str = "t") -> Event:
    return IdentityLinked(user_id=ME, method="access_token", subject=subject, actor=actor)


def unlinked(actor: str, subject: str = "t") -> Event:
    return IdentityUnlinked(user_id=ME, method="access_token", subject=subject, actor=actor)


def recorded(event: Event, at: datetime) -> Recorded:
    return Recorded(1, entity_id(), 1, event.TOPIC, at, None, None, event)


HANDS: list[tuple[str, list[tuple[Event, datetime]], str | None]] = [
    ("long ago, by a third", [(registered(), LONG_AGO), (linked(ROOT), LONG_AGO)], None),
    ("by the proposer", [(registered(PROPOSER), LONG_AGO)], "was registered by the proposer"),
    ("a day ago", [(registered(), NOW - timedelta(days=1))], None),
    (
        "a second less than a day ago",
        [(registered(), NOW - timedelta(days=1) + timedelta(seconds=1))],
        "was registered less than a day before",
    ),
    (
        "the proposer made the token",
        [(registered(), LONG_AGO), (linked(PROPOSER), LONG_AGO)],
        "was given its token by the proposer",
    ),
    (
        "a new token by a third",
        [(registered(), LONG_AGO), (linked(ROOT), NOW)],
        "was given its token less than a day before",
    ),
    ("a new token of one's own", [(registered(), LONG_AGO), (linked(EVE), NOW)], None),
    (
        "the proposer's token is gone",
        [
            (registered(), LONG_AGO),
            (linked(PROPOSER), LONG_AGO),
            (unlinked(EVE), LONG_AGO),
            (linked(EVE, "u"), LONG_AGO),
        ],
        None,
    ),
    (
        "its token goes only afterwards",
        [
            (registered(), LONG_AGO),
            (linked(PROPOSER), LONG_AGO),
            (unlinked(EVE), NOW + timedelta(seconds=1)),
        ],
        "was given its token by the proposer",
    ),
    (
        "the proposer gave the role",
        [
            (registered(), LONG_AGO),
            (RoleChanged(user_id=ME, role="root", actor=PROPOSER), LONG_AGO),
        ],
        "was given its role by the proposer",
    ),
    (
        "let in again today",
        [
            (registered(), LONG_AGO),
            (UserDisabled(user_id=ME, actor=ROOT), LONG_AGO),
            (UserEnabled(user_id=ME, actor=OTHER), NOW),
        ],
        "was let in again less than a day before",
    ),
    (
        "what comes later",
        [(registered(), LONG_AGO), (linked(ROOT), NOW + LONG_AGO.resolution)],
        None,
    ),
]


@pytest.mark.parametrize(
    ("events", "why"), [each[1:] for each in HANDS], ids=[each[0] for each in HANDS]
)
def test_a16_whose_hand(events: list[tuple[Event, datetime]], why: str | None) -> None:
    stream = [recorded(event, at) for event, at in events]
    assert one_hand(Act(PROPOSER, NOW), Act(EVE, NOW), {EVE: stream}) == why
