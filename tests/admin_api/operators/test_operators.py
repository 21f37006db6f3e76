"""Operators over the desk's API: registered, disabled, given another role or another token."""

from uuid import UUID

from admin_api.operators import operations as operators
from ledger.streams import user
from tests.admin_api.desks import ROOT_TOKEN, OpenDesk, Servers, at_desk


def test_a_new_token_works_at_once_and_a_disabled_operators_no_more(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        new = (await desk.post("/operators", json={"name": "Eve", "role": "operator"})).json()
        assert (await desk.get("/accounts", token=new["token"])).status_code == 200
        user_id = UUID(new["id"])
        await desk.desk.ledger.handle(user.STREAM, user_id, user.Disable("operator:test"))
        await desk.desk.up_to_date()
        answer = await desk.get("/accounts", token=new["token"])
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")

    at_desk(servers, check)


def test_a_changed_role_counts(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        new = (await desk.post("/operators", json={"name": "Eve", "role": "operator"})).json()
        change = user.ChangeRole("auditor", "operator:test")
        await desk.desk.ledger.handle(user.STREAM, UUID(new["id"]), change)
        await desk.desk.up_to_date()
        answer = await desk.post("/accounts", json={"name": "a"}, token=new["token"])
        assert answer.status_code == 403

    at_desk(servers, check)


def test_a_role_nobody_has_cannot_be_given(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        for role in ("admin", "", None, 1, ["root"]):
            answer = await desk.post("/operators", json={"name": "Eve", "role": role})
            assert answer.status_code == 422

    at_desk(servers, check)


def test_the_root_token_is_made_once_and_can_be_replaced(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        assert await operators.open_root(desk.desk, "tg-another", actor="t") is None
        fresh = await operators.reset_token(desk.desk, operators.ROOT_ID, actor="t")
        await desk.desk.up_to_date()
        assert (await desk.get("/accounts", token=ROOT_TOKEN)).status_code == 401
        assert (await desk.get("/accounts", token="tg-another")).status_code == 401
        assert (await desk.get("/accounts", token=fresh)).status_code == 200

    at_desk(servers, check)
