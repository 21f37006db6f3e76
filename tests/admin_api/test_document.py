"""The OpenAPI document: true, complete, and without a field that could carry a secret."""

import asyncio
import contextlib
import re
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import httpx2
import schemathesis
import uvicorn
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.specs.openapi import checks

from admin_api.app import PREFIX
from tests.admin_api.desks import ROOT_TOKEN, OpenDesk, Servers, at_desk, open_desk
from tests.admin_api.test_channels import CANARY, CHANNEL

SHOWN_ONCE = {"IssuedKeyOutput": {"key"}, "NewOperatorOutput": {"token"}}
SECRET = re.compile(r"(sk|tg)-[A-Za-z0-9_-]{20,}")
ANSWERS: Mapping[str, str] = {
    "AccountOutput": "group id is_suspended name opened_at",
    "AccountPage": "accounts next",
    "AdjustmentOutput": "delta position reason",
    "AttemptOutput": "channel_id duration_ms outcome status ttft_ms",
    "BalanceOutput": "available held position posted",
    "ChannelList": "channels",
    "ChannelOutput": "base_url groups id is_paused keys models name priority type weight",
    "CreditOutput": "position",
    "EventOutput": "data position recorded_at stream type version",
    "EventPageOutput": "events head next",
    "GroupList": "groups",
    "GroupOutput": "multiplier name version",
    "IssuedKeyOutput": "id key",
    "KeyList": "keys",
    "KeyOutput": (
        "account_id allowed_ips expires_at group id last_four limit models name prefix status used"
    ),
    "LineOutput": "base kind per_units price units",
    "ModelMappingOutput": "client upstream",
    "NewOperatorOutput": "id token",
    "PastPrice": (
        "actor audio_in audio_out cache_read cache_write_1h cache_write_5m "
        "effective_from image_in image_out input model output per_call reasoning "
        "recorded_at version"
    ),
    "PriceHistoryOutput": "current history model",
    "PriceList": "prices",
    "PriceOutput": (
        "audio_in audio_out cache_read cache_write_1h cache_write_5m "
        "effective_from image_in image_out input model output per_call reasoning "
        "version"
    ),
    "PriceVersion": "version",
    "ProviderKeyOutput": "id state",
    "RequestOutput": (
        "account_id adjustments admitted_at anomaly attempts basis channel_id "
        "charged closed_at cost dialect duration_ms ending group held http_status "
        "id key_id lines model multiplier positions price_version reason "
        "refused_at shortfall status streaming ttft_ms upstream_model usage"
    ),
}
"""Every schema in a successful answer, and its fields: a new one is a decision."""


def test_it_is_openapi_3_1_and_public(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        answer = await desk.get("/openapi.json", token=None)
        document = answer.json()
        assert document["openapi"].startswith("3.1")
        assert document["servers"] == [{"url": PREFIX}]
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                assert operation["security"] == [{"token": []}], (method, path)
                problem = operation["responses"]["4XX"]["content"]
                assert set(problem) == {"application/problem+json"}

    at_desk(servers, check)


def test_answers_have_exactly_the_fields_that_were_agreed(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        document = (await desk.get("/openapi.json")).json()
        schemas = document["components"]["schemas"]
        told = {
            name: sorted(schema["properties"])
            for name, schema in schemas.items()
            if name in _in_answers(document)
        }
        assert told == {name: fields.split() for name, fields in ANSWERS.items()}
        suspicious = {
            (name, field)
            for name, fields in told.items()
            for field in fields
            if re.fullmatch(r"(.*_)?(key|token|secret|sha256|password|hash)", field)
        }
        once = {(name, field) for name, fields in SHOWN_ONCE.items() for field in fields}
        assert suspicious == once

    at_desk(servers, check)


def test_no_answer_after_the_first_holds_a_secret(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account_id = await desk.account()
        key_id, _ = await desk.key(account_id)
        await desk.operator("auditor")
        await desk.credit(account_id, "1")
        call_id = await desk.settled_call(account_id, key_id)
        added = await desk.post("/channels", json=CHANNEL)
        channel = f"/channels/{added.json()['id']}"
        answers: list[httpx2.Response] = [
            added,
            await desk.ask("PATCH", channel, json={"keys": [CANARY]}),
            await desk.ask("PATCH", f"/keys/{key_id}", json={"limit": "1"}),
        ]
        for path in (
            channel,
            "/channels",
            "/accounts",
            f"/accounts/{account_id}/keys",
            f"/requests/{call_id}",
            "/ledger/events?limit=1000",
        ):
            answers.append(await desk.get(path))  # noqa: PERF401 - one after the other
        for answer in answers:
            assert answer.status_code in (200, 201)
            assert SECRET.search(answer.text) is None, answer.request.url
            assert "canary" not in answer.text

    at_desk(servers, check)


def test_the_desk_keeps_to_its_document(servers: Servers) -> None:
    """Schemathesis, in a short form: requests made from the document, answers judged by it."""
    told = (
        _no_bug,
        checks.status_code_conformance,
        checks.content_type_conformance,
        checks.response_schema_conformance,
        checks.ignored_auth,
    )
    with _served(servers) as url:
        schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
        for found in schema.get_all_operations():
            operation = found.ok()

            @settings(
                max_examples=8,
                deadline=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
                database=None,
            )
            @given(case=operation.as_strategy())
            def judge(case: Any) -> None:  # noqa: ANN401 - schemathesis' Case
                headers = {"Authorization": f"Bearer {ROOT_TOKEN}"}
                case.call_and_validate(headers=headers, checks=told)

            judge()


def _no_bug(context: Any, response: Any, case: Any) -> None:  # noqa: ANN401, ARG001 - its types
    """A 503 is lawful: it comes when a position is asked for that does not exist yet."""
    assert response.status_code in (503, *range(200, 500))


@contextlib.contextmanager
def _served(servers: Servers) -> Iterator[str]:
    """The desk behind a real server on a port of its own, on an event loop of its own."""
    ready, ended = threading.Event(), threading.Event()
    address: list[str] = []

    async def serve() -> None:
        async with open_desk(servers) as desk:
            config = uvicorn.Config(desk.app, port=0, log_level="error", lifespan="off")
            server = uvicorn.Server(config)
            serving = asyncio.create_task(server.serve())
            while not server.started:
                await asyncio.sleep(0.01)
            host, port = server.servers[0].sockets[0].getsockname()
            address.append(f"http://{host}:{port}{PREFIX}")
            ready.set()
            while not ended.is_set():
                await asyncio.sleep(0.02)
            server.should_exit = True
            await serving

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    try:
        assert ready.wait(20)
        yield address[0]
    finally:
        ended.set()
        thread.join()


def _in_answers(document: dict[str, Any]) -> set[str]:
    """The names of all schemas that a successful answer may contain."""
    found: set[str] = set()
    waiting = [
        response
        for operations in document["paths"].values()
        for operation in operations.values()
        for status, response in operation["responses"].items()
        if status.startswith("2")
    ]
    while waiting:
        names = set(re.findall(r"'#/components/schemas/(\w+)'", str(waiting.pop()))) - found
        found |= names
        waiting += [document["components"]["schemas"][name] for name in names]
    return found
