"""API keys over the desk's API."""

from typing import Any
from uuid import uuid4

from tests.admin_api.desks import OpenDesk, Servers, at_desk

TERMS: dict[str, Any] = {
    "limit": "10.50",
    "expires_at": "2100-01-31T12:00:00+01:00",
    "models": ["gpt-4o", "vendor/model"],
    "allowed_ips": ["10.1.2.3/8", "2001:db8::1"],
    "group": "partner",
    "names_channels": True,
}


def test_a_key_is_shown_once_and_then_only_by_its_ends(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account_id = await desk.account()
        answer = await desk.post(f"/accounts/{account_id}/keys", json={"name": "laptop", **TERMS})
        assert answer.status_code == 201
        issued = answer.json()
        assert set(issued) == {"id", "key"}
        assert issued["key"].startswith("sk-")
        assert len(issued["key"]) == 51
        listed = await desk.get(f"/accounts/{account_id}/keys")
        assert issued["key"] not in listed.text
        assert listed.json()["keys"] == [
            {
                "id": issued["id"],
                "account_id": account_id,
                "name": "laptop",
                "prefix": issued["key"][:7],
                "last_four": issued["key"][-4:],
                "limit": "10.5",
                "used": "0",
                "expires_at": "2100-01-31T11:00:00.000000Z",
                "models": ["gpt-4o", "vendor/model"],
                "allowed_ips": ["10.0.0.0/8", "2001:db8::1/128"],
                "group": "partner",
                "names_channels": True,
                "status": "active",
            }
        ]

    at_desk(servers, check)


def test_the_key_is_known_to_the_gateways_look_up(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account_id = await desk.account()
        key_id, secret = await desk.key(account_id)
        caller = await desk.desk.configuration.caller(secret)
        assert caller is not None
        assert caller.key.issued is not None
        assert str(caller.key.issued.key_id) == key_id
        assert str(caller.account.account_id) == account_id

    at_desk(servers, check)


def test_a_change_touches_only_what_it_names_and_null_lifts(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account_id = await desk.account()
        key_id, _ = await desk.key(account_id, **TERMS)
        before = (await desk.get(f"/accounts/{account_id}/keys")).json()["keys"][0]
        change = {"limit": None, "name": "renamed"}
        answer = await desk.ask("PATCH", f"/keys/{key_id}", json=change)
        assert answer.status_code == 200
        assert answer.json() == {**before, **change}
        listed = (await desk.get(f"/accounts/{account_id}/keys")).json()["keys"]
        assert listed == [answer.json()]

    at_desk(servers, check)


def test_a_revoked_key_stays_revoked(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account_id = await desk.account()
        key_id, _ = await desk.key(account_id)
        for _ in range(2):
            answer = await desk.ask("DELETE", f"/keys/{key_id}")
            assert (answer.status_code, answer.content) == (204, b"")
        answer = await desk.ask("PATCH", f"/keys/{key_id}", json={"limit": "1"})
        assert (answer.status_code, answer.json()["code"]) == (409, "not_allowed_now")
        listed = (await desk.get(f"/accounts/{account_id}/keys")).json()["keys"]
        assert [key["status"] for key in listed] == ["revoked"]

    at_desk(servers, check)


def test_an_unknown_key_is_not_found(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account_id = await desk.account()
        for path in (f"/keys/{uuid4()}", f"/keys/{account_id}"):
            for method, body in (("PATCH", {"limit": "1"}), ("DELETE", None)):
                answer = await desk.ask(method, path, json=body)
                assert (answer.status_code, answer.json()["code"]) == (404, "not_found")

    at_desk(servers, check)


NOT_TERMS: tuple[tuple[str, object, str], ...] = (
    ("limit", "1.", "invalid_amount"),
    ("limit", 5, "invalid_amount"),
    ("expires_at", "2100-01-31T12:00:00", "invalid_input"),
    ("expires_at", "2100-01-31", "invalid_input"),
    ("expires_at", "2100-02-30T12:00:00Z", "invalid_input"),
    ("expires_at", "2001-01-01T00:00:00Z", "invalid_input"),
    ("expires_at", 4_000_000_000, "invalid_input"),
    ("models", [], "invalid_input"),
    ("models", "gpt-4o", "invalid_input"),
    ("models", ["../x"], "invalid_input"),
    ("models", ["a\u202eb"], "invalid_input"),
    ("allowed_ips", [], "invalid_input"),
    ("allowed_ips", ["10.0.0.0/33"], "invalid_input"),
    ("allowed_ips", ["localhost"], "invalid_input"),
    ("group", "a\nb", "invalid_input"),
    ("group", "", "invalid_input"),
    ("quota", 1, "unknown_field"),
    ("account_id", "x", "unknown_field"),
)


def test_terms_that_are_not_terms_are_refused(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account_id = await desk.account()
        key_id, _ = await desk.key(account_id)
        for field, value, code in NOT_TERMS:
            for answer in (
                await desk.post(f"/accounts/{account_id}/keys", json={"name": "k", field: value}),
                await desk.ask("PATCH", f"/keys/{key_id}", json={field: value}),
            ):
                assert (answer.status_code, answer.json()["code"]) == (422, code), (field, value)
                if code != "invalid_amount":
                    assert field in answer.json()["errors"][0]["field"]

    at_desk(servers, check)
