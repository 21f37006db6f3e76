"""Who may do what: default-deny, the role matrix, and answers that tell an intruder nothing."""

from collections.abc import Iterator
from uuid import uuid4

import httpx2
import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from admin_api.access.auth import Permit, Public
from admin_api.access.permissions import PERMISSIONS
from admin_api.http.application import PREFIX
from admin_api.jobs.registry import KINDS
from admin_api.registry import RESOURCES
from tests.admin_api.desks import ROOT_TOKEN, OpenDesk, Servers, at_desk

ID = str(uuid4())
MOVE = {"code": "other", "reason": "r"}
Asked = tuple[str, str, object]
CHANNEL = {"name": "c", "type": "echo", "models": ["m"]}
READS: tuple[Asked, ...] = (
    ("GET", "/accounts", None),
    ("GET", "/operators", None),
    ("GET", f"/operators/{ID}", None),
    ("GET", "/settings", None),
    ("GET", f"/accounts/{ID}", None),
    ("GET", f"/accounts/{ID}/balance", None),
    ("GET", f"/accounts/{ID}/keys", None),
    ("GET", "/channels", None),
    ("GET", f"/channels/{ID}", None),
    ("GET", f"/channels/{ID}/keys", None),
    ("GET", f"/channels/{ID}/health", None),
    ("POST", "/routes/simulate", {"model": "m", "account": str(ID)}),
    ("GET", "/prices", None),
    ("GET", "/prices/m", None),
    ("GET", "/groups", None),
    ("GET", "/channel-types", None),
    ("GET", "/requests", None),
    ("GET", f"/requests/{ID}", None),
    ("GET", "/usage", None),
    ("GET", "/totals/accounts", None),
    ("GET", f"/totals/keys?account={ID}", None),
    ("GET", "/audit", None),
    ("GET", "/alarms", None),
    ("GET", "/metrics", None),
    ("GET", "/ledger/events", None),
    ("GET", "/receipts/1000000.tlog-proof", None),
    ("GET", f"/accounts/{ID}/statement", None),
    ("GET", f"/accounts/{ID}/statement.pdf", None),
    ("GET", f"/accounts/{ID}/statement/summary?by=day", None),
    ("POST", "/exports", {"format": "csv"}),
    ("GET", "/ledger/trial-balance", None),
    ("GET", "/ledger/journal", None),
    ("GET", "/ledger/profit", None),
    ("GET", "/ledger/as-of/prices/m", None),
    ("GET", f"/ledger/as-of/channels/{ID}", None),
    ("GET", "/ledger/as-of/settings", None),
    ("GET", "/jobs", None),
    ("GET", f"/jobs/{ID}", None),
    ("GET", f"/jobs/{ID}/events", None),
    ("GET", f"/jobs/{ID}/files/f", None),
    ("DELETE", f"/jobs/{ID}", None),
    ("POST", "/ledger/checks", None),
    ("GET", "/reconciliations", None),
    ("GET", f"/reconciliations/{ID}", None),
    ("GET", f"/reconciliations/{ID}/export", None),
    ("GET", "/oversight", None),
    ("GET", "/adjustments", None),
    ("GET", f"/adjustments/{ID}", None),
    ("GET", f"/adjustments/{ID}/accounts", None),
    ("POST", "/ledger/reprices", {"multipliers": {"g": "1"}}),
    ("GET", "/catalogue/models", None),
    ("GET", "/costs", None),
    ("GET", "/costs/m", None),
    ("GET", f"/channels/{ID}/costs", None),
    ("GET", f"/channels/{ID}/costs/m", None),
    ("GET", "/price-books", None),
    ("GET", "/price-books/draft/diff", None),
    ("GET", "/price-books/draft/prices", None),
    ("GET", "/price-books/draft/prices/m", None),
    ("GET", "/price-books/draft/ratios", None),
    ("POST", "/price-books/draft/preview", {}),
)
WRITES: tuple[Asked, ...] = (
    ("POST", "/accounts", {"name": "a"}),
    ("POST", f"/accounts/{ID}/credits", {"amount": "1", "reason": "r"}),
    ("POST", f"/accounts/{ID}/keys", {"name": "k"}),
    ("PATCH", f"/accounts/{ID}", {"group": "vip"}),
    ("POST", f"/accounts/{ID}/suspend", {}),
    ("POST", f"/accounts/{ID}/resume", {}),
    ("PATCH", f"/keys/{ID}", {"limit": "1"}),
    ("DELETE", f"/keys/{ID}", None),
    ("POST", "/channels", CHANNEL),
    ("PATCH", f"/channels/{ID}", {"weight": 1}),
    ("DELETE", f"/channels/{ID}", None),
    ("POST", f"/channels/{ID}/keys/{ID}/pause", {}),
    ("POST", f"/channels/{ID}/keys/{ID}/resume", {}),
    ("POST", f"/channels/{ID}/health/close", None),
    ("POST", f"/channels/{ID}/test", {"model": "m"}),
    ("GET", f"/channels/{ID}/offered-models", None),
    ("POST", f"/channels/{ID}/offered-models", {"add": ["m"]}),
    ("PUT", "/prices/m", {"input": "1"}),
    ("PUT", "/groups/g", {"multiplier": "1"}),
    ("POST", "/ledger/rebuilds", {}),
    ("POST", f"/reconciliations?format=openai-costs&channels={ID}", None),
    ("POST", "/adjustments", {"account": ID, "amount": "1", "direction": "credit", **MOVE}),
    ("POST", "/reversals", {"position": 10**9, **MOVE}),
    ("POST", f"/adjustments/{ID}/approve", None),
    ("POST", f"/adjustments/{ID}/reject", {"reason": "r"}),
    ("POST", "/corrections", {"job": ID, "direction": "both", **MOVE}),
    ("PUT", "/costs/m", {"input": "1"}),
    ("PUT", f"/channels/{ID}/costs/m", {"input": "1"}),
    ("PUT", "/price-books/draft/prices/m", {"input": "1"}),
    ("POST", "/price-books/draft/publish", {"reason": "r"}),
    ("POST", "/price-books/draft/import-catalogue", {"models": ["gpt-4o"], "provider": "openai"}),
    ("POST", "/price-books/draft/import-ratios", {"options": {"ModelRatio": '{"m": 1}'}}),
)
ROOT_ONLY: tuple[Asked, ...] = (
    ("POST", "/operators", {"name": "o", "role": "auditor"}),
    ("PATCH", f"/operators/{ID}", {"role": "auditor"}),
    ("POST", f"/operators/{ID}/disable", {}),
    ("POST", f"/operators/{ID}/enable", {}),
    ("POST", f"/operators/{ID}/erase", {}),
    ("POST", f"/operators/{ID}/token", None),
    ("PUT", "/settings/book.time_zone", {"value": "UTC"}),
)
ALL = READS + WRITES + ROOT_ONLY
PUBLIC = {
    "/ledger/checkpoint",
    "/ledger/keys",
    "/ledger/proof",
    "/ledger/consistency",
    "/ledger/tile/{level}/{path:path}",
}
"""What anybody may ask: nothing but hashes and signatures."""


def test_every_route_declares_its_permission() -> None:
    unguarded = [
        f"{route.methods} {route.path}"
        for route in _routes()
        if not any(isinstance(call, Permit) for call in _dependencies(route.dependant))
        and route.path not in PUBLIC
    ]
    assert unguarded == []
    public = {
        route.path
        for route in _routes()
        if any(isinstance(call, Public) for call in _dependencies(route.dependant))
    }
    assert public == PUBLIC


def test_the_tables_above_name_every_route() -> None:
    declared = {(method, route.path) for route in _routes() for method in route.methods or ()}
    assert len(declared) == len(ALL) + len(PUBLIC)


def test_a_permission_nobody_has_does_not_exist() -> None:
    used = {
        call.permission
        for route in _routes()
        for call in _dependencies(route.dependant)
        if isinstance(call, Permit)
    }
    assert used | {kind.permission for kind in KINDS} == PERMISSIONS["root"]


def test_each_role_may_do_exactly_what_its_table_says(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        operator, auditor = await desk.operator("operator"), await desk.operator("auditor")
        for token, allowed in (
            (ROOT_TOKEN, ALL),
            (operator, READS + WRITES),
            (auditor, READS),
        ):
            for method, path, body in ALL:
                answer = await desk.ask(method, path, json=body, token=token)
                is_forbidden = answer.status_code == 403
                assert is_forbidden == ((method, path, body) not in allowed), (method, path)
                if is_forbidden:
                    assert answer.json()["code"] == "forbidden"
                else:
                    done = answer.status_code in (200, 201, 202, 204, 404, 409)
                    assert done, (method, path, answer.text)

    at_desk(servers, check)


def test_without_a_good_token_every_route_answers_the_same(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        shapes = set()
        for method, path, body in ALL:
            for authorization in (
                None,
                "",
                "Bearer",
                "Bearer ",
                "Bearer tg-" + "x" * 48,
                f"Basic {ROOT_TOKEN}",
                f"bearer  {ROOT_TOKEN}",
                f"Bearer {ROOT_TOKEN}, Bearer x",
                f"Bearer {ROOT_TOKEN}\u00e9",
                "Bearer " + "x" * 300,
                "Bearer ' or 1=1 --",
            ):
                headers = [] if authorization is None else [("authorization", authorization)]
                answer = await _raw(desk, method, path, headers, body)
                assert answer.status_code == 401, (method, path, authorization)
                told = answer.json()
                told.pop("request_id")
                shapes.add((str(told), answer.headers["www-authenticate"]))
        assert len(shapes) == 1

    at_desk(servers, check)


def test_two_credentials_are_none(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        good = ("authorization", f"Bearer {ROOT_TOKEN}")
        assert (await _raw(desk, "GET", "/accounts", [good])).status_code == 200
        assert (await _raw(desk, "GET", "/accounts", [good, good])).status_code == 401

    at_desk(servers, check)


def test_a_token_elsewhere_than_in_its_header_is_ignored(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        for headers in (
            [("x-api-key", ROOT_TOKEN)],
            [("x-goog-api-key", ROOT_TOKEN)],
            [("cookie", f"token={ROOT_TOKEN}")],
        ):
            answer = await _raw(desk, "GET", f"/accounts?key={ROOT_TOKEN}", headers)
            assert answer.status_code == 401

    at_desk(servers, check)


def test_a_malformed_host_opens_nothing(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        for host in ("", "x/../../", "evil?x", "a#b", "a@b", "[::1", "a b", "/openapi.json"):
            for method, path, body in ALL:
                answer = await _raw(desk, method, path, [("host", host)], body)
                assert answer.status_code == 401, (host, method, path)

    at_desk(servers, check)


async def _raw(
    desk: OpenDesk,
    method: str,
    path: str,
    headers: list[tuple[str, str]],
    body: object = None,
) -> httpx2.Response:
    encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    return await desk.client.request(method, PREFIX + path, headers=encoded, json=body)


def _routes() -> list[APIRoute]:
    found = [
        route for routers in RESOURCES.values() for router in routers for route in router.routes
    ]
    assert all(isinstance(route, APIRoute) for route in found)
    return [route for route in found if isinstance(route, APIRoute)]


def _dependencies(dependant: Dependant) -> Iterator[object]:
    for each in dependant.dependencies:
        yield each.call
        yield from _dependencies(each)


@pytest.mark.parametrize("path", ["/jobs?kind=%00", "/jobs?kind=a%00b", "/prices/m%00/history"])
def test_d12_a_character_that_no_text_may_have_is_refused(servers: Servers, path: str) -> None:
    async def check(desk: OpenDesk) -> None:
        answer = await desk.get(path)
        assert answer.status_code in (404, 422), answer.text

    at_desk(servers, check)
