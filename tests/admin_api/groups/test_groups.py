"""Price groups over the desk's API."""

from urllib.parse import quote

from ledger.pricing import Multiplier
from tests.admin_api.desks import OpenDesk, Servers, at_desk


def test_a_groups_multiplier_is_an_exact_ratio(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        for text, told, ratio in (
            ("1.5", "1.5", Multiplier(3, 2)),
            ("0", "0", Multiplier(0, 1)),
            ("0.333333333", "0.333333333", Multiplier(333_333_333, 10**9)),
            ("2.000", "2", Multiplier(2, 1)),
        ):
            answer = await desk.ask(
                "PUT", "/groups/partner", json={"multiplier": text, "reason": "r"}
            )
            assert answer.status_code == 200
            assert answer.json()["multiplier"] == told
            await desk.desk.up_to_date()
            assert desk.desk.configuration.multiplier("partner") == ratio
        assert (await desk.get("/groups")).json() == {
            "groups": [{"name": "partner", "multiplier": "2", "for_members": {}, "version": 4}]
        }

    at_desk(servers, check)


def test_members_of_another_group_may_pay_something_else(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        body = {"multiplier": "2", "for_members": {"vip": "0.9", "guests": "3"}, "reason": "r"}
        answer = await desk.ask("PUT", "/groups/edit", json=body)
        assert answer.json()["for_members"] == {"guests": "3", "vip": "0.9"}
        # Absent: as it is.
        answer = await desk.ask("PUT", "/groups/edit", json={"multiplier": "1", "reason": "r"})
        assert answer.json()["for_members"] == {"guests": "3", "vip": "0.9"}
        await desk.desk.up_to_date()
        paid = desk.desk.configuration.multiplier
        assert (paid("edit"), paid("edit", "vip"), paid("edit", "other")) == (
            Multiplier(1, 1),
            Multiplier(9, 10),
            Multiplier(1, 1),
        )
        assert paid("unset", "vip") == Multiplier(1, 1)
        answer = await desk.ask(
            "PUT", "/groups/edit", json={"multiplier": "1", "for_members": {}, "reason": "r"}
        )
        assert (answer.json()["for_members"], answer.json()["version"]) == ({}, 3)
        for refused in ({"a\nb": "1"}, {"vip": 1}, {"vip": "-1"}, ["vip"]):
            body = {"multiplier": "1", "for_members": refused}
            assert (await desk.ask("PUT", "/groups/edit", json=body)).status_code == 422

    at_desk(servers, check)


def test_what_a_group_cannot_be_is_refused(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        for name, multiplier, code in (
            ("partner", "-1", "invalid_amount"),
            ("partner", 1.5, "invalid_amount"),
            ("%20a", "1", "invalid_input"),
            ("%E2%80%AEa", "1", "invalid_input"),
            ("a//b", "1", "invalid_input"),
            ("x" * 65, "1", "invalid_input"),
        ):
            answer = await desk.ask("PUT", f"/groups/{name}", json={"multiplier": multiplier})
            assert (answer.status_code, answer.json()["code"]) == (422, code), name

    at_desk(servers, check)


def test_d7_a_groups_name_is_any_of_64_printable_characters(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        for name in ("会员", "a b", "ключ/1", "~!*'()", "x" * 64, "😀"):
            body = {"multiplier": "1.5", "for_members": {name: "0.5"}, "reason": "r"}
            answer = await desk.ask("PUT", f"/groups/{quote(name)}", json=body)
            assert (answer.status_code, answer.json()["name"]) == (200, name), answer.text
            account = await desk.account()
            changed = await desk.patch(f"/accounts/{account}", json={"group": name})
            assert changed.json()["group"] == name
            key_id, _ = await desk.key(account, group=name)
            assert (await desk.patch(f"/keys/{key_id}", json={"group": None})).status_code == 200
            channel = {"name": name, "type": "echo", "models": ["echo"], "groups": [name]}
            assert (await desk.post("/channels", json=channel)).json()["groups"] == [name]
            await desk.desk.up_to_date()
            assert desk.desk.configuration.multiplier(name, name) == Multiplier(1, 2)

    at_desk(servers, check)
