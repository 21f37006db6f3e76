"""Money moved by hand: two operators agree, once; what is posted is only ever reversed."""

import asyncio
from typing import Any
from uuid import UUID

import httpx2
import psycopg
import pytest

from admin_api.operators.operations import METHOD
from ledger.fsck import Checked, check_ledger
from ledger.ids import entity_id, key_digest
from ledger.streams import user
from projections.catching_up import caught_up
from projections.views import adjustments as view
from tests.admin_api.desks import OpenDesk, Servers, at_desk, open_desk

WORDS = "the words nobody finds in the ledger"


async def propose(
    desk: OpenDesk,
    account: str,
    amount: str = "2.5",
    direction: str = "credit",
    **options: Any,  # noqa: ANN401
) -> httpx2.Response:
    body = {"account": account, "amount": amount, "direction": direction}
    body |= {"code": "goodwill", "reason": WORDS, **options.pop("body", {})}
    return await desk.post("/adjustments", json=body, **options)


async def reverse(desk: OpenDesk, position: int, **options: Any) -> httpx2.Response:  # noqa: ANN401
    body = {"position": position, "code": "billing_error", "reason": WORDS}
    return await desk.post("/reversals", json=body | options.pop("body", {}), **options)


async def approve(desk: OpenDesk, adjustment: str, token: str) -> httpx2.Response:
    return await desk.post(f"/adjustments/{adjustment}/approve", token=token)


async def reject(desk: OpenDesk, adjustment: str, **options: Any) -> httpx2.Response:  # noqa: ANN401
    return await desk.post(
        f"/adjustments/{adjustment}/reject", json={"reason": "not so"}, **options
    )


async def posted(desk: OpenDesk, account: str) -> str:
    told: str = (await desk.get(f"/accounts/{account}/balance")).json()["posted"]
    return told


async def id_of(answer: httpx2.Response) -> str:
    assert answer.status_code == 201, answer.text
    told: str = answer.json()["id"]
    return told


def code(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_nothing_moves_until_another_operator_approves(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account, second = await desk.account(), await desk.approver()
        adjustment = await id_of(await propose(desk, account))
        assert await posted(desk, account) == "0"
        told = (await desk.get(f"/adjustments/{adjustment}")).json()
        assert (told["state"], told["amount"], told["reason"]) == ("proposed", "2.5", WORDS)
        answer = await approve(desk, adjustment, second)
        assert answer.status_code == 200, answer.text
        told = answer.json()
        assert told["state"] == "posted"
        assert told["proposed_by"] != told["decided_by"]
        assert told["posted_position"] == told["decided_position"] + 1
        cached = await desk.cache.read(UUID(account), UUID(account))
        assert cached == (-2_500_000_000, told["posted_position"])
        assert await posted(desk, account) == "2.5"
        assert (await approve(desk, adjustment, second)).json() == told
        assert await posted(desk, account) == "2.5"

    at_desk(servers, check)
    assert list(check_ledger(servers.dsn)) == []


def test_whoever_proposes_never_approves_whatever_the_token(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account = await desk.account()
        operators = (await desk.post("/operators", json={"name": "o", "role": "finance"})).json()
        adjustment = await id_of(await propose(desk, account, token=operators["token"]))
        answer = await approve(desk, adjustment, operators["token"])
        assert code(answer) == (409, "four_eyes")
        # Another token of the same person is the same person.
        fresh = "tg-" + "f" * 48
        link = user.Link(METHOD, key_digest(fresh), "test")
        await desk.desk.handle(user.STREAM, UUID(operators["id"]), link)
        assert code(await approve(desk, adjustment, fresh)) == (409, "four_eyes")
        # So is root, of its own proposals.
        own = await id_of(await propose(desk, account))
        assert code(await desk.post(f"/adjustments/{own}/approve")) == (409, "four_eyes")
        assert await posted(desk, account) == "0"

    at_desk(servers, check)


def test_twenty_operators_approve_at_once_and_it_is_posted_once(servers: Servers) -> None:
    async def check() -> None:
        async with open_desk(servers) as one, open_desk(servers) as two:
            account = await one.account()
            tokens = [await one.approver() for _ in range(20)]
            adjustment = await id_of(await propose(one, account, "1"))
            answers = await asyncio.gather(
                *(
                    approve((one, two)[number % 2], adjustment, token)
                    for number, token in enumerate(tokens)
                )
            )
            assert sorted(answer.status_code for answer in answers) == [200] + [409] * 19
            assert await posted(one, account) == "1"
            page = await one.get("/ledger/events?type=adjustment.AdjustmentPosted.v1")
            assert len(page.json()["events"]) == 1

    asyncio.run(check())
    assert list(check_ledger(servers.dsn)) == []


def test_approving_and_rejecting_at_once_has_one_outcome(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account = await desk.account()
        tokens = [await desk.approver() for _ in range(6)]
        adjustment = await id_of(await propose(desk, account, "1"))
        answers = await asyncio.gather(
            *(approve(desk, adjustment, token) for token in tokens[:3]),
            *(reject(desk, adjustment, token=token) for token in tokens[3:]),
        )
        assert sorted(answer.status_code for answer in answers) == [200] + [409] * 5
        told = (await desk.get(f"/adjustments/{adjustment}")).json()
        expected = {"posted": "1", "rejected": "0"}
        assert await posted(desk, account) == expected[told["state"]]

    at_desk(servers, check)


def test_a_rejected_proposal_is_final_and_says_why(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account, second = await desk.account(), await desk.approver("operator")
        adjustment = await id_of(await propose(desk, account))
        told = (await reject(desk, adjustment)).json()  # its own proposer takes it back
        assert (told["state"], told["rejection"]) == ("rejected", "not so")
        assert (await reject(desk, adjustment)).json() == told
        assert code(await reject(desk, adjustment, token=second)) == (409, "not_allowed_now")
        assert code(await approve(desk, adjustment, second)) == (409, "not_allowed_now")
        assert await posted(desk, account) == "0"

    at_desk(servers, check)


def test_the_same_key_is_one_proposal_and_another_body_a_conflict(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account = await desk.account()
        key = {"idempotency-key": "once"}
        first = await propose(desk, account, headers=key)
        again = await propose(desk, account, "2.50", headers=key)
        assert first.json() == again.json()
        for other in (
            await propose(desk, account, "3", headers=key),
            await propose(desk, account, direction="debit", headers=key),
            await propose(desk, account, headers=key, body={"reason": "another"}),
            await propose(desk, account, headers=key, body={"code": "refund"}),
        ):
            assert code(other) == (409, "idempotency_conflict")
        told = (await desk.get(f"/adjustments/{first.json()['id']}")).json()
        assert told["reason"] == WORDS

    at_desk(servers, check)


def test_a_debit_may_go_below_zero_and_is_listed_with_its_cause(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account, second = await desk.account(), await desk.approver()
        await desk.credit(account, "1")
        adjustment = await id_of(await propose(desk, account, "1.25", "debit"))
        told = (await approve(desk, adjustment, second)).json()
        balance = (await desk.get(f"/accounts/{account}/balance")).json()
        assert (balance["posted"], balance["available"]) == ("-0.25", "-0.25")
        checked = Checked()
        assert list(check_ledger(servers.dsn, checked)) == []
        (cause,) = checked.below_zero.values()
        assert set(checked.below_zero) == {UUID(account)}
        assert cause == (told["posted_position"], "adjustment.AdjustmentPosted.v1")
        key, _ = await desk.key(account)
        with pytest.raises(Exception, match="available"):
            await desk.settled_call(account, key)
        await desk.credit(account, "1")
        await desk.settled_call(account, key)

    at_desk(servers, check)


def test_a_credit_is_reversed_once_to_the_nanodollar(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account, second = await desk.account(), await desk.approver()
        position = (await desk.credit(account, "3.000000001")).json()["position"]
        first = await id_of(await reverse(desk, position))
        assert await id_of(await reverse(desk, position)) == first
        assert code(await reverse(desk, position, token=second)) == (409, "not_allowed_now")
        assert code(await desk.post(f"/adjustments/{first}/approve")) == (409, "four_eyes")
        told = (await approve(desk, first, second)).json()
        assert (told["state"], told["amount"]) == ("posted", "-3.000000001")
        assert told["reversed_position"] == position
        assert await posted(desk, account) == "0"
        assert await id_of(await reverse(desk, position)) == first
        other = await reverse(desk, position, body={"reason": "again"})
        assert code(other) == (409, "not_allowed_now")
        # The reversal was wrong: it is reversed itself.
        back = await id_of(await reverse(desk, told["posted_position"]))
        assert (await approve(desk, back, second)).json()["amount"] == "3.000000001"
        assert await posted(desk, account) == "3.000000001"

    at_desk(servers, check)
    assert list(check_ledger(servers.dsn)) == []


def test_a_rejected_reversal_may_be_proposed_anew_and_races_have_one_winner(
    servers: Servers,
) -> None:
    async def check(desk: OpenDesk) -> None:
        account = await desk.account()
        tokens = [await desk.approver() for _ in range(5)]
        position = (await desk.credit(account, "1")).json()["position"]
        first = await id_of(await reverse(desk, position))
        assert (await reject(desk, first)).status_code == 200
        answers = await asyncio.gather(*(reverse(desk, position, token=t) for t in tokens))
        assert sorted(answer.status_code for answer in answers) == [201] + [409] * 4
        second = next(a.json()["id"] for a in answers if a.status_code == 201)
        assert second != first
        await asyncio.gather(*(approve(desk, second, token) for token in tokens))
        assert await posted(desk, account) == "0"

    at_desk(servers, check)
    assert list(check_ledger(servers.dsn)) == []


def test_what_was_never_posted_cannot_be_reversed(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account = await desk.account()
        key, _ = await desk.key(account)
        await desk.credit(account, "1")
        await desk.settled_call(account, key)
        head = (await desk.get("/ledger/events")).json()["head"]
        assert code(await reverse(desk, head)) == (409, "not_allowed_now")
        assert code(await reverse(desk, 1)) == (409, "not_allowed_now")
        assert code(await reverse(desk, head + 1)) == (404, "not_found")
        assert (await reverse(desk, 0)).status_code == 422
        proposed = (await propose(desk, account)).json()["position"]
        assert code(await reverse(desk, proposed)) == (409, "not_allowed_now")

    at_desk(servers, check)


def test_bad_input_is_refused_and_nothing_stored(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account, auditor = await desk.account(), await desk.operator("auditor")
        before = (await desk.get("/ledger/events")).json()["head"]
        for amount in ("0", "-1", "1.0000000001", ""):
            assert code(await propose(desk, account, amount)) == (422, "invalid_amount")
        assert (await propose(desk, account, direction="up")).status_code == 422
        assert (await propose(desk, account, body={"code": "because"})).status_code == 422
        assert (await propose(desk, account, body={"reason": " "})).status_code == 422
        assert (await propose(desk, account, body={"x": 1})).json()["code"] == "unknown_field"
        assert code(await propose(desk, str(entity_id()))) == (404, "not_found")
        assert code(await propose(desk, account, token=auditor)) == (403, "forbidden")
        for path in (str(entity_id()), account):
            assert code(await desk.get(f"/adjustments/{path}")) == (404, "not_found")
            assert code(await desk.post(f"/adjustments/{path}/approve")) == (404, "not_found")
            assert code(await reject(desk, path)) == (404, "not_found")
        assert (await desk.get("/ledger/events")).json()["head"] == before

    at_desk(servers, check)


def test_the_list_tells_what_the_streams_tell(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        assert (await desk.get("/adjustments")).json() == {"adjustments": [], "next": None}
        account, other = await desk.account(), await desk.account()
        second = await desk.approver()
        ids = [await id_of(await propose(desk, each)) for each in (account, other, account)]
        await approve(desk, ids[0], second)
        await reject(desk, ids[1], token=second)
        await asyncio.to_thread(lambda: _fold(servers.dsn))
        page = (await desk.get("/adjustments")).json()["adjustments"]
        assert [each["id"] for each in page] == ids[::-1]
        for each in page:
            details = (await desk.get(f"/adjustments/{each['id']}")).json()
            assert {name: details[name] for name in each} == each
        listed = (await desk.get("/adjustments?state=proposed")).json()["adjustments"]
        assert [each["id"] for each in listed] == [ids[2]]
        listed = (await desk.get(f"/adjustments?account={account}")).json()["adjustments"]
        assert [each["id"] for each in listed] == [ids[2], ids[0]]
        first = (await desk.get("/adjustments?limit=2")).json()
        rest = (await desk.get(f"/adjustments?limit=2&before={first['next']}")).json()
        assert [each["id"] for each in rest["adjustments"]] == [ids[0]]
        accounts = (await desk.get(f"/adjustments/{ids[0]}/accounts")).json()["accounts"]
        assert [(each["account"], each["amount"]) for each in accounts] == [(account, "2.5")]
        answer = await desk.get("/adjustments?at_least=999999")
        assert code(answer) == (503, "not_caught_up")

    at_desk(servers, check)


def _fold(dsn: str) -> None:
    with caught_up(dsn, (view.PROJECTION,)):
        pass


def test_no_word_of_a_reason_is_in_the_log(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account = await desk.account()
        adjustment = await id_of(await propose(desk, account))
        await reject(desk, adjustment)
        with psycopg.connect(servers.dsn) as connection:
            rows = connection.execute("select convert_from(state, 'UTF8') from ledger.event")
            text = "\n".join(row[0] for row in rows.fetchall())
        assert WORDS not in text
        assert "not so" not in text

    at_desk(servers, check)


async def sums(desk: OpenDesk) -> dict[str, str]:
    """The net of every account of the double entry that is not zero."""
    told = (await desk.get("/ledger/trial-balance")).json()["accounts"]
    return {one["account"]: one["net"] for one in told if one["net"] != "0"}


@pytest.mark.parametrize(
    ("given", "contra"),
    [
        ({"source": "manual"}, "clearing:manual"),
        ({"source": "payment", "method": "stripe", "reference": "pi_3X"}, "clearing:stripe"),
        ({"source": "promotion"}, "promotions"),
        ({"source": "goodwill"}, "promotions"),
        ({"source": "import"}, "clearing:import"),
    ],
)
def test_a14_a_reversal_mirrors_what_it_reverses(
    servers: Servers, given: dict[str, str], contra: str
) -> None:
    async def check(desk: OpenDesk) -> None:
        account, approver = await desk.account(), await desk.approver()
        before = await sums(desk)
        body = {"amount": "4", "reason": "r", **given}
        credit = await desk.post(f"/accounts/{account}/credits", json=body)
        assert credit.status_code == 201, credit.text
        assert (await sums(desk)).get(contra) == "-4"
        adjustment = await id_of(await reverse(desk, credit.json()["position"]))
        assert (await approve(desk, adjustment, approver)).status_code == 200
        assert await sums(desk) == before

    at_desk(servers, check)


@pytest.mark.parametrize(
    ("body", "contra"),
    [
        ({"code": "refund"}, "clearing:manual"),
        ({"code": "refund", "method": "stripe"}, "clearing:stripe"),
        ({"code": "dispute", "method": "stripe"}, "clearing:stripe"),
        ({"code": "goodwill"}, "promotions"),
        ({"code": "write_off"}, "adjustments"),
    ],
)
def test_a14_an_adjustment_goes_to_where_its_money_is_from_and_so_does_its_reversal(
    servers: Servers, body: dict[str, str], contra: str
) -> None:
    async def check(desk: OpenDesk) -> None:
        account, approver = await desk.account(), await desk.approver()
        before = await sums(desk)
        proposed = await propose(desk, account, "3", "debit", body=body)
        view = await approve(desk, await id_of(proposed), approver)
        assert (await sums(desk)).get(contra) == "3"
        position = view.json()["posted_position"]
        again = await id_of(await reverse(desk, position))
        assert (await approve(desk, again, approver)).status_code == 200
        assert await sums(desk) == before

    at_desk(servers, check)


def test_a15_a_payment_is_found_again_in_the_statement(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account = await desk.account()
        body = {
            "amount": "4",
            "reason": "r",
            "source": "payment",
            "method": "stripe",
            "reference": "pi_3X",
        }
        assert (await desk.post(f"/accounts/{account}/credits", json=body)).status_code == 201
        lines = (await desk.get(f"/accounts/{account}/statement")).json()["lines"]
        assert [line["detail"] for line in lines] == ["top_up:stripe pi_3X"]
        for wrong in (
            {"source": "payment"},
            {"source": "payment", "method": "My Bank"},
            {"source": "promotion", "method": "stripe"},
            {"source": "manual", "reference": "Ada Lovelace"},
            {"source": "gift"},
        ):
            given = {"amount": "4", "reason": "r", **wrong}
            answer = await desk.post(f"/accounts/{account}/credits", json=given)
            assert answer.status_code == 422, wrong
        method_without = {"code": "goodwill", "method": "stripe"}
        assert (await propose(desk, account, body=method_without)).status_code == 422

    at_desk(servers, check)
