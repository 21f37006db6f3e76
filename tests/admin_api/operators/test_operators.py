"""Operators over the desk's API: registered, disabled, given another role or another token."""

from uuid import uuid4

from admin_api.operators import operations as operators
from tests.admin_api.desks import ROOT_TOKEN, OpenDesk, Servers, at_desk


def test_a_new_token_works_at_once_and_a_disabled_operators_no_more(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        new = (await desk.post("/operators", json={"name": "Eve", "role": "operator"})).json()
        assert (await desk.get("/accounts", token=new["token"])).status_code == 200
        path = f"/operators/{new['id']}"
        disabled = await desk.post(f"{path}/disable", json={"reason": "left"})
        assert disabled.json()["is_disabled"] is True
        await desk.desk.up_to_date()
        answer = await desk.get("/accounts", token=new["token"])
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
        enabled = await desk.post(f"{path}/enable", json={})
        assert enabled.json()["is_disabled"] is False
        await desk.desk.up_to_date()
        assert (await desk.get("/accounts", token=new["token"])).status_code == 200

    at_desk(servers, check)


def test_d5_a_changed_role_counts_and_a_changed_name_is_shown(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        new = (await desk.post("/operators", json={"name": "Eve", "role": "operator"})).json()
        change = {"role": "auditor", "name": "Eva", "reason": "moved"}
        changed = (await desk.patch(f"/operators/{new['id']}", json=change)).json()
        assert (changed["role"], changed["name"]) == ("auditor", "Eva")
        await desk.desk.up_to_date()
        answer = await desk.post("/accounts", json={"name": "a"}, token=new["token"])
        assert answer.status_code == 403
        listed = (await desk.get("/operators")).json()["operators"]
        assert [one for one in listed if one["id"] == new["id"]] == [changed]

    at_desk(servers, check)


def test_d5_a_token_issued_anew_ends_the_old_one(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        new = (await desk.post("/operators", json={"name": "Eve", "role": "auditor"})).json()
        fresh = (await desk.post(f"/operators/{new['id']}/token")).json()["token"]
        await desk.desk.up_to_date()
        assert (await desk.get("/accounts", token=new["token"])).status_code == 401
        assert (await desk.get("/accounts", token=fresh)).status_code == 200

    at_desk(servers, check)


def test_d5_an_erased_operator_has_no_name_anywhere_and_no_list_fails(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        new = (await desk.post("/operators", json={"name": "Eve", "role": "auditor"})).json()
        erased = (await desk.post(f"/operators/{new['id']}/erase", json={})).json()
        assert (erased["name"], erased["is_erased"], erased["tokens"]) == (None, True, 0)
        await desk.desk.up_to_date()
        listed = (await desk.get("/operators")).json()["operators"]
        assert erased in listed
        assert (await desk.get("/accounts", token=new["token"])).status_code == 401
        again = await desk.patch(f"/operators/{new['id']}", json={"role": "root"})
        assert again.status_code == 404

    at_desk(servers, check)


def test_d5_nobody_locks_themselves_out(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        root = f"/operators/{operators.ROOT_ID}"
        for answer in (
            await desk.post(f"{root}/disable", json={}),
            await desk.post(f"{root}/erase", json={}),
            await desk.patch(root, json={"role": "auditor"}),
        ):
            assert answer.status_code == 409, answer.text
        assert (await desk.get("/operators")).status_code == 200

    at_desk(servers, check)


def test_d5_only_root_changes_operators_and_nobody_unknown_is_found(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        new = (await desk.post("/operators", json={"name": "Eve", "role": "operator"})).json()
        path, token = f"/operators/{new['id']}", new["token"]
        assert (await desk.patch(path, json={"role": "root"}, token=token)).status_code == 403
        assert (await desk.post(f"{path}/token", token=token)).status_code == 403
        assert (await desk.get("/operators", token=token)).status_code == 200
        unknown = f"/operators/{uuid4()}"
        assert (await desk.get(unknown)).status_code == 404
        assert (await desk.patch(unknown, json={"role": "root"})).status_code == 404
        assert (await desk.post(f"{unknown}/erase", json={})).status_code == 404
        assert (await desk.post(f"{unknown}/token")).status_code == 404

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
