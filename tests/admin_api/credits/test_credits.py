"""Money in: exact, once per idempotency key, visible when the answer comes."""

import asyncio
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from admin_api.fields import inputs
from ledger.errors import InvalidAmount
from ledger.money import NANOS_PER_USD, format_usd
from tests.admin_api.desks import OpenDesk, Servers, at_desk, open_desk

NOT_AMOUNTS = [
    "", "0", "0.0", "0.000000000", "-1", "+1", "1.", ".5", "1e3", "1,5", " 1", "1 ", "1\n", "0x1",
    "1234567890", "1.1234567890", "\u0661", "\uff11", "NaN", "Infinity", "1_000", 1, 1.5, True,
    None, [], {}, ["1"],
]  # fmt: skip


def test_a_credit_shows_in_balance_and_cache_when_it_is_answered(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account_id = await desk.account()
        answer = await desk.credit(account_id, "12.500000001")
        assert answer.status_code == 201
        position = answer.json()["position"]
        balance = (await desk.get(f"/accounts/{account_id}/balance")).json()
        assert balance == {
            "posted": "12.500000001",
            "held": "0",
            "available": "12.500000001",
            "position": position,
        }
        cached = await desk.cache.read(UUID(account_id), UUID(account_id))
        assert cached == (-12_500_000_001, position)

    at_desk(servers, check)


def test_the_same_key_and_body_give_the_first_answer(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account_id = await desk.account()
        key = {"idempotency-key": "once"}
        first = await desk.credit(account_id, "5", headers=key)
        again = await desk.credit(account_id, "5", headers=key)
        same_amount = await desk.credit(account_id, "5.00", headers=key)
        assert first.status_code == again.status_code == 201
        assert first.json() == again.json() == same_amount.json()
        assert again.headers["idempotency-key"] == "once"
        assert await _posted(desk, account_id) == "5"

    at_desk(servers, check)


def test_the_same_key_with_another_body_is_a_conflict(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account_id, other_id = await desk.account(), await desk.account()
        key = {"idempotency-key": "once"}
        await desk.credit(account_id, "5", headers=key)
        other_reason = await desk.post(
            f"/accounts/{account_id}/credits", json={"amount": "5", "reason": "other"}, headers=key
        )
        for answer in (
            await desk.credit(account_id, "6", headers=key),
            await desk.credit(other_id, "5", headers=key),
            other_reason,
        ):
            assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_conflict")
        assert await _posted(desk, account_id) == "5"
        assert await _posted(desk, other_id) == "0"

    at_desk(servers, check)


def test_two_operators_may_use_the_same_key(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account_id, token = await desk.account(), await desk.operator("operator")
        key = {"idempotency-key": "once"}
        first = await desk.credit(account_id, "5", headers=key)
        second = await desk.credit(account_id, "5", headers=key, token=token)
        assert first.json() != second.json()
        assert await _posted(desk, account_id) == "10"

    at_desk(servers, check)


def test_without_a_key_every_request_counts_and_is_told_its_key(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account_id = await desk.account()
        first, second = [await desk.credit(account_id, "1") for _ in range(2)]
        assert first.headers["idempotency-key"] != second.headers["idempotency-key"]
        assert await _posted(desk, account_id) == "2"
        key = {"idempotency-key": first.headers["idempotency-key"]}
        assert (await desk.credit(account_id, "1", headers=key)).json() == first.json()

    at_desk(servers, check)


def test_fifty_identical_credits_over_two_workers_are_one_event(servers: Servers) -> None:
    async def check() -> None:
        async with open_desk(servers) as one, open_desk(servers) as two:
            account_id = await one.account()
            key = {"idempotency-key": "race"}
            answers = await asyncio.gather(
                *(
                    desk.credit(account_id, "5", headers=key)
                    for _ in range(25)
                    for desk in (one, two)
                )
            )
            assert {answer.status_code for answer in answers} == {201}
            assert len({answer.json()["position"] for answer in answers}) == 1
            assert await _posted(one, account_id) == "5"
            page = (await one.get("/ledger/events?type=credit.CreditGranted.v1")).json()
            assert len(page["events"]) == 1

    asyncio.run(check())


def test_a_race_of_different_bodies_under_one_key_has_one_winner(servers: Servers) -> None:
    async def check() -> None:
        async with open_desk(servers) as one, open_desk(servers) as two:
            account_id = await one.account()
            key = {"idempotency-key": "race"}
            answers = await asyncio.gather(
                *(
                    desk.credit(account_id, str(amount), headers=key)
                    for amount in range(1, 11)
                    for desk in (one, two)
                )
            )
            stored = {a.json()["position"] for a in answers if a.status_code == 201}
            assert len(stored) == 1
            assert {a.status_code for a in answers} == {201, 409}
            assert float(await _posted(one, account_id)) in range(1, 11)

    asyncio.run(check())


def test_an_idempotency_key_is_visible_ascii(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account_id = await desk.account()
        for key in ("", "x" * 256, "a b", "a\tb", "caf\u00e9"):
            headers = {"idempotency-key": key.encode("latin-1")}
            answer = await desk.credit(account_id, "5", headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (422, "invalid_idempotency_key")
        assert await _posted(desk, account_id) == "0"

    at_desk(servers, check)


def test_what_is_not_an_amount_is_refused_and_nothing_stored(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account_id = await desk.account()
        for amount in NOT_AMOUNTS:
            body = {"amount": amount, "reason": "r"}
            answer = await desk.post(f"/accounts/{account_id}/credits", json=body)
            assert answer.status_code == 422, repr(amount)
            assert answer.json()["code"] == "invalid_amount", repr(amount)
        assert await _posted(desk, account_id) == "0"

    at_desk(servers, check)


def test_every_amount_is_posted_to_the_nanodollar(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        await desk.one_operator()
        account_id = await desk.account()
        total = 0
        for nanos in (1, 999_999_999, NANOS_PER_USD, 10**17 + 1, 999_999_999_999_999_999):
            assert (await desk.credit(account_id, format_usd(nanos))).status_code == 201
            total += nanos
            assert await _posted(desk, account_id) == format_usd(total)

    at_desk(servers, check)


def test_a_balance_beyond_what_can_be_represented_is_a_conflict(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        await desk.one_operator()
        account_id = await desk.account()
        for _ in range(4):
            assert (await desk.credit(account_id, "999999999")).status_code == 201
        answer = await desk.credit(account_id, "999999999")
        assert (answer.status_code, answer.json()["code"]) == (409, "out_of_range")

    at_desk(servers, check)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(max_size=24) | st.from_regex(r"[0-9]{0,10}\.?[0-9]{0,10}", fullmatch=True))
def test_a_text_is_an_amount_exactly_if_its_digits_say_so(text: str) -> None:
    whole, point, fraction = text.partition(".")
    is_amount = (
        text.isascii()
        and whole.isdigit()
        and len(whole) <= 9
        and (not point or (fraction.isdigit() and len(fraction) <= 9))
        and any(digit not in "0." for digit in text)
    )
    try:
        nanos = inputs.positive_amount(text)
    except InvalidAmount:
        assert not is_amount
    else:
        assert is_amount
        assert nanos == int(whole + fraction.ljust(9, "0"))


async def _posted(desk: OpenDesk, account_id: str) -> str:
    posted: str = (await desk.get(f"/accounts/{account_id}/balance")).json()["posted"]
    return posted
