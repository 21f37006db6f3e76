"""M3: a large credit is not small because it came in pieces."""

import asyncio
from typing import Any
from uuid import UUID

import pytest

from admin_api.credits.operations import Idempotency, NewCredit, grant_credit, needs_approval
from ledger.errors import FourEyes
from ledger.fsck import check_ledger
from ledger.ids import entity_id
from ledger.money import NANOS_PER_USD
from ledger.streams import credit as credits_
from projections.catching_up import caught_up
from projections.views import audit_trail
from tests.admin_api.desks import OpenDesk, Servers, at_desk, open_desk


async def posted(desk: OpenDesk, account: str) -> str:
    told: str = (await desk.get(f"/accounts/{account}/balance")).json()["posted"]
    return told


async def oversight(desk: OpenDesk, servers: Servers) -> Any:  # noqa: ANN401 - JSON
    with caught_up(servers.dsn, (audit_trail.PROJECTION,)):
        pass
    return (await desk.get("/oversight")).json()


def test_m3_what_one_gives_an_account_alone_is_added_up(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account, other = await desk.account(), await desk.account()
        answers = [await desk.credit(account, amount) for amount in ("60", "40", "0.000000001")]
        assert [answer.status_code for answer in answers] == [201, 201, 202]
        assert answers[2].json()["adjustment"] is not None
        assert await posted(desk, account) == "100"
        assert (await desk.credit(other, "100")).status_code == 201
        second = await desk.operator("finance")
        assert (await desk.credit(account, "100", token=second)).status_code == 201
        assert (await desk.credit(account, "1", token=second)).status_code == 202
        assert await posted(desk, account) == "200"

    at_desk(servers, check)
    assert list(check_ledger(servers.dsn)) == []


def test_m3_of_twenty_at_once_no_more_pass_than_one_after_the_other(servers: Servers) -> None:
    async def check() -> None:
        async with open_desk(servers) as one, open_desk(servers) as two:
            account = await one.account()
            answers = await asyncio.gather(
                *(desk.credit(account, "30") for _ in range(10) for desk in (one, two))
            )
            assert sorted(answer.status_code for answer in answers) == [201] * 3 + [202] * 17
            assert await posted(one, account) == "90"

    asyncio.run(check())


def test_m3_a_repeat_is_no_second_credit_and_no_proposal(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account = await desk.account()
        full, over = {"idempotency-key": "full"}, {"idempotency-key": "over"}
        first = await desk.credit(account, "100", headers=full)
        proposed = await desk.credit(account, "1", headers=over)
        assert (first.status_code, proposed.status_code) == (201, 202)
        assert (await desk.credit(account, "100", headers=full)).json() == first.json()
        body = {"value": "1000", "reason": "by_decision"}
        await desk.put("/settings/credits.alone_up_to", json=body)
        assert (await desk.credit(account, "1", headers=over)).json() == proposed.json()
        assert (await desk.credit(account, "900")).status_code == 201
        assert (await desk.credit(account, "1")).status_code == 202
        assert await posted(desk, account) == "1000"

    at_desk(servers, check)


def test_m3_the_command_line_is_one_actor_as_well(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account = UUID(await desk.account())

        async def give(amount: str, key: str) -> bool:
            """Whether it needs approval, asked beforehand; without one it is given."""
            idempotency = Idempotency("command-line", "credit", key)
            if await needs_approval(desk.desk, account, amount, idempotency=idempotency):
                return True
            wanted = NewCredit(amount, "so")
            await grant_credit(
                desk.desk, account, wanted, idempotency=idempotency, actor="command-line"
            )
            return False

        asked = [await give(*each) for each in (("70", "a"), ("31", "b"), ("30", "c"), ("70", "a"))]
        assert asked == [False, True, False, False]
        with pytest.raises(FourEyes):
            await grant_credit(
                desk.desk,
                account,
                NewCredit("1", "so"),
                idempotency=Idempotency("command-line", "credit", "d"),
                actor="command-line",
            )
        assert await posted(desk, str(account)) == "100"

    at_desk(servers, check)


def test_m3_a_house_of_one_operator_is_reported(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account = await desk.account()
        await desk.one_operator()
        positions = [
            (await desk.credit(account, amount)).json()["position"] for amount in ("60", "50")
        ]
        (day,) = (await oversight(desk, servers))["repeated_credits"]
        assert (day["account"], day["amount"], day["count"]) == (account, "110", 2)
        assert [day["first_position"], day["last_position"]] == positions
        assert day["alone_up_to"] == "100"
        assert day["actor"].startswith("operator:")

    at_desk(servers, check)


def test_m3_the_report_names_what_earlier_releases_let_pass(servers: Servers) -> None:
    """Their credits count nowhere; days are those of the books, and actors are told apart."""

    async def check(desk: OpenDesk) -> None:
        account, other = UUID(await desk.account()), UUID(await desk.account())

        async def gave(account_id: UUID, usd: int, actor: str) -> None:
            digest = entity_id().hex
            grant = credits_.Grant(account_id, usd * NANOS_PER_USD, "manual", digest, actor)
            await desk.desk.ledger.handle(credits_.STREAM, entity_id(), grant)

        for usd in (90, 90, 90):
            await gave(account, usd, "command-line")
        for actor in ("operator:one", "operator:two"):
            await gave(account, 90, actor)
        await gave(other, 90, "command-line")
        (day,) = (await oversight(desk, servers))["repeated_credits"]
        assert (day["account"], day["actor"]) == (str(account), "command-line")
        assert (day["amount"], day["count"]) == ("270", 3)

    at_desk(servers, check)
