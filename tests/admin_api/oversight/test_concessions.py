"""M4: an overdraft and calls for less are money given: with a reason, and in the report."""

from typing import Any

import pytest

from projections.catching_up import caught_up
from projections.views import audit_trail
from tests.admin_api.desks import OpenDesk, Servers, at_desk

SHOWN = ("what", "group", "member", "before", "after", "reason")


async def concessions(desk: OpenDesk, servers: Servers) -> list[Any]:
    with caught_up(servers.dsn, (audit_trail.PROJECTION,)):
        pass
    told: list[Any] = (await desk.get("/oversight")).json()["concessions"]
    return told


async def set_group(desk: OpenDesk, name: str, multiplier: str, **more: Any) -> int:  # noqa: ANN401
    answer = await desk.put(f"/groups/{name}", json={"multiplier": multiplier, **more})
    return answer.status_code


def test_m4_an_overdraft_needs_a_reason_and_is_reported(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account = await desk.account()
        path = f"/accounts/{account}"
        raised = {"limits": {"overdraft": "5000"}}
        answer = await desk.patch(path, json=raised)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "reason")
        assert (await desk.get(path)).json()["limits"]["overdraft"] == "0"
        assert (await desk.patch(path, json={**raised, "reason": "contract"})).status_code == 200
        # What takes nothing more from the house is asked no reason.
        for given in (raised, {"limits": {"day": "1"}}, {"limits": {"overdraft": "10"}}):
            assert (await desk.patch(path, json=given)).status_code == 200, given
        (one,) = await concessions(desk, servers)
        assert [one[name] for name in SHOWN] == ["overdraft", None, None, "0", "5000", "contract"]
        assert (one["account"], one["actor"][:9]) == (account, "operator:")

    at_desk(servers, check)


@pytest.mark.parametrize("multiplier", ["0", "0.999999999"])
def test_m4_a_group_that_pays_less_needs_a_reason_and_is_reported(
    servers: Servers, multiplier: str
) -> None:
    async def check(desk: OpenDesk) -> None:
        assert await set_group(desk, "free", multiplier) == 422
        assert await set_group(desk, "free", "1", for_members={"vip": multiplier}) == 422
        assert (await desk.get("/groups")).json() == {"groups": []}
        assert await set_group(desk, "free", multiplier, reason="pilot") == 200
        assert await set_group(desk, "free", "1.5") == 200
        assert await set_group(desk, "free", "1.5", for_members={"vip": "1"}) == 422
        assert await set_group(desk, "free", "2", for_members={"vip": "1"}, reason="vips") == 200
        told = await concessions(desk, servers)
        assert [[one[name] for name in SHOWN] for one in told] == [
            ["multiplier", "free", "vip", "1.5", "1", "vips"],
            ["multiplier", "free", None, "1", multiplier, "pilot"],
        ]

    at_desk(servers, check)


def test_m4_neighbours_moving_to_such_a_group_and_a_key_that_calls_in_it(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account, other = await desk.account(), await desk.account()
        assert await set_group(desk, "free", "0", reason="pilot") == 200
        assert await set_group(desk, "dear", "3") == 200
        path = f"/accounts/{account}"
        for group, options, status in (
            ("dear", {}, 200),
            ("free", {}, 422),
            ("free", {"reason": "friend"}, 200),
        ):
            answer = await desk.patch(path, json={"group": group, **options})
            assert answer.status_code == status, group
        key_id, _ = await desk.key(other, group="free")
        await desk.key(other, group="dear")
        await desk.patch(f"/keys/{key_id}", json={"group": "dear"})
        await desk.patch(f"/keys/{key_id}", json={"group": "free"})
        told = await concessions(desk, servers)
        assert [[one[name] for name in SHOWN] for one in told] == [
            ["key_group", "free", "default", "1", "0", ""],
            ["key_group", "free", "default", "1", "0", ""],
            ["account_group", "free", "dear", "3", "0", "friend"],
            ["multiplier", "free", None, "1", "0", "pilot"],
        ]
        assert [one["account"] for one in told] == [other, other, account, None]

    at_desk(servers, check)
