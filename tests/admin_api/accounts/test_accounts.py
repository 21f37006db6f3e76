"""Accounts and their balances over the desk's API."""

from uuid import uuid4

from tests.admin_api.desks import OpenDesk, Servers, at_desk


def test_an_account_is_opened_and_read_back(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        answer = await desk.post("/accounts", json={"name": "Ada"})
        assert answer.status_code == 201
        opened = answer.json()
        assert opened["name"] == "Ada"
        assert opened["group"] == "default"
        assert opened["is_suspended"] is False
        again = await desk.get(f"/accounts/{opened['id']}")
        assert again.json() == opened

    at_desk(servers, check)


def test_a_fresh_account_has_nothing(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account_id = await desk.account()
        answer = await desk.get(f"/accounts/{account_id}/balance")
        balance = answer.json()
        assert balance.pop("position") > 0
        assert balance == {"posted": "0", "held": "0", "available": "0"}

    at_desk(servers, check)


def test_accounts_are_listed_page_by_page_without_gaps(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        opened = [await desk.account(f"account {number}") for number in range(7)]
        listed: list[str] = []
        after = 0
        while True:
            page = (await desk.get(f"/accounts?limit=3&after={after}")).json()
            listed += [account["id"] for account in page["accounts"]]
            if page["next"] is None:
                break
            after = page["next"]
        assert listed == opened

    at_desk(servers, check)


def test_an_unknown_account_is_not_found_anywhere(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        unknown = f"/accounts/{uuid4()}"
        for path in ("", "/balance", "/keys"):
            answer = await desk.get(unknown + path)
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        for path, body in (
            ("/credits", {"amount": "1", "reason": "r"}),
            ("/keys", {"name": "k"}),
        ):
            answer = await desk.post(unknown + path, json=body)
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found")

    at_desk(servers, check)


def test_the_name_is_in_the_vault_and_in_no_event(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        await desk.account("Unmistakable Name")
        async with desk.desk.pool.connection() as connection:
            cursor = await connection.execute("select string_agg(state, '') from ledger.event")
            row = await cursor.fetchone()
        assert row is not None
        assert b"Unmistakable" not in row[0]

    at_desk(servers, check)


def test_names_are_normalised_and_deceptive_ones_refused(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        answer = await desk.post("/accounts", json={"name": " A\u030angstro\u0308m "})
        assert answer.json()["name"] == "\u00c5ngstr\u00f6m"
        refused = [
            "",
            "   ",
            "a\nb",
            "a\x00b",
            "pay\u202eevil",
            "a\u2028b",
            "x" * 201,
            "\u00ad",
            "\u200d",
        ]
        for name in refused:
            answer = await desk.post("/accounts", json={"name": name})
            assert answer.status_code == 422, repr(name)
            assert answer.json()["errors"][0]["field"] == "name"

    at_desk(servers, check)


def test_d5_limits_are_changed_one_by_one_and_null_is_none(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        path = f"/accounts/{await desk.account()}"
        assert (await desk.get(path)).json()["limits"] == {
            "overdraft": "0",
            "day": None,
            "week": None,
            "month": None,
        }
        given = {"limits": {"day": "2.50", "overdraft": "1"}, "reason": "contract"}
        changed = (await desk.patch(path, json=given)).json()
        assert changed["limits"] == {"overdraft": "1", "day": "2.5", "week": None, "month": None}
        changed = (await desk.patch(path, json={"limits": {"week": "9", "day": None}})).json()
        assert changed["limits"] == {"overdraft": "1", "day": None, "week": "9", "month": None}
        changed = (await desk.patch(path, json={"name": "Ada L.", "group": "vip"})).json()
        assert (changed["name"], changed["group"]) == ("Ada L.", "vip")
        assert changed["limits"]["week"] == "9"
        assert (await desk.get(path)).json() == changed

    at_desk(servers, check)


def test_d5_what_is_no_change_of_an_account_is_refused(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        path = f"/accounts/{await desk.account()}"
        for given in (
            {"limits": {"day": "-1"}},
            {"limits": {"day": 1}},
            {"limits": {"overdraft": None}},
            {"limits": {"year": "1"}},
            {"group": "a\nb"},
            {"reason": "Because I say so"},
            {"name": "\u202e"},
        ):
            answer = await desk.patch(path, json=given)
            assert answer.status_code == 422, given
        unknown = f"/accounts/{uuid4()}"
        assert (await desk.patch(unknown, json={"group": "vip"})).status_code == 404
        assert (await desk.post(f"{unknown}/suspend", json={})).status_code == 404

    at_desk(servers, check)


def test_d5_an_account_is_suspended_and_resumed(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        path = f"/accounts/{await desk.account()}"
        for action, is_suspended in (("suspend", True), ("suspend", True), ("resume", False)):
            answer = await desk.post(f"{path}/{action}", json={"reason": "unpaid"})
            assert (answer.status_code, answer.json()["is_suspended"]) == (200, is_suspended)
        events = (await desk.get("/ledger/events?limit=50")).text
        assert events.count("account.AccountSuspended.v1") == 1

    at_desk(servers, check)
