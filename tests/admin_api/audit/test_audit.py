"""The audit trail at the desk: every act of the log, its actor by name, and nothing else."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from admin_api.fields.inputs import format_moment
from ledger import vault
from ledger.store.reader import Recorded
from tests.admin_api.desks import OpenDesk, Servers, at_desk
from tests.admin_api.grown import Told, fold, grow, read_log


def acts_of(log: list[Recorded]) -> Iterator[Told]:
    """What the trail must say of each act, the newest first."""
    for one in reversed(log):
        actor = getattr(one.event, "actor", None)
        if actor is not None:
            yield {
                "position": one.position,
                "recorded_at": format_moment(one.recorded_at),
                "actor": actor,
                "type": one.topic,
                "stream": str(one.stream_id),
                "version": one.version,
                "account_id": str(one.account_id) if one.account_id else None,
                "reason": getattr(one.event, "reason", "") or None,
            }


async def pages(desk: OpenDesk, limit: int, **asked: object) -> list[Told]:
    found: list[Told] = []
    before: dict[str, Any] = {}
    while True:
        answer = await desk.get("/audit", params={**asked, **before, "limit": limit})
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found += [
            {
                name: value
                for name, value in act.items()
                if not name.startswith("actor_") and name != "words"  # of the vault
            }
            for act in page["acts"]
        ]
        if page["next"] is None:
            return found
        before = {"before": page["next"]}


def test_every_act_of_the_log_is_told_under_every_condition(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account_id = await desk.account()
        await desk.key(account_id)
        await desk.operator("finance")
        grow(servers, 900)
        await fold(servers)
        log = read_log(servers)
        every = list(acts_of(log))
        assert 30 < len(every) < len(log)
        assert await pages(desk, 25) == every
        kept = next(each for each in every if each["reason"] and each["account_id"])
        for name in ("actor", "stream", "account_id", "type"):
            asked = {name.removesuffix("_id"): kept[name]}
            own = [each for each in every if each[name] == kept[name]]
            assert await pages(desk, 9, **asked) == own, name
            assert 0 < len(own) < len(every), name
        since, until = every[-5]["recorded_at"], every[4]["recorded_at"]
        stretch = [each for each in every if since <= each["recorded_at"] < until]
        assert await pages(desk, 9, **{"from": since, "to": until}) == stretch
        assert (await desk.get("/audit?limit=1")).json()["position"] == log[-1].position

    at_desk(servers, check)


def test_an_actor_is_told_by_name_and_role_until_erased(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        new = (await desk.post("/operators", json={"name": "Grace", "role": "operator"})).json()
        opened = await desk.post("/accounts", json={"name": "Ada"}, token=new["token"])
        await fold(servers)
        query = f"/audit?stream={opened.json()['id']}"
        (act,) = (await desk.get(query)).json()["acts"]
        assert (act["type"], act["actor"]) == ("account.AccountOpened.v1", f"operator:{new['id']}")
        assert (act["actor_name"], act["actor_role"]) == ("Grace", "operator")
        (by_nobody,) = (await desk.get("/audit?actor=installation&limit=1")).json()["acts"]
        assert by_nobody["actor_name"] is by_nobody["actor_role"] is None
        async with desk.desk.pool.connection() as connection:
            assert await vault.forget(connection, UUID(new["id"]))
        (act,) = (await desk.get(query)).json()["acts"]
        assert (act["actor_name"], act["actor_role"]) == (None, "operator")

    at_desk(servers, check)


def test_what_cannot_be_asked_is_refused(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        assert (await desk.get("/audit")).json() == {"acts": [], "next": None, "position": 0}
        for query in ("type=account.Nonsense.v1", "actor=", "from=soon", "before=0", "who=me"):
            assert (await desk.get(f"/audit?{query}")).status_code == 422, query
        _, secret = await desk.key(await desk.account())
        assert (await desk.get("/audit", token=secret)).status_code == 401
        head = read_log(servers)[-1].position
        answer = await desk.get(f"/audit?at_least={head}")
        assert (answer.status_code, answer.json()["code"]) == (503, "not_caught_up")

    at_desk(servers, check)
