"""Every error is a problem with a stable code, and none of them tells a secret."""

import asyncio
import json
from typing import Any
from uuid import UUID, uuid4

import httpx2
import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from admin_api import desk as desk_module
from admin_api import errors as desk_errors
from admin_api.desk import Commands
from admin_api.errors import STATUS, UNAVAILABLE, DeskError, QueryTooSlow
from admin_api.http.envelope import BODY_MAX_BYTES
from ledger import clock
from ledger.errors import LedgerError, OutcomeUnknown
from tests.admin_api.desks import ROOT_TOKEN, OpenDesk, Servers, at_desk


def _tree(root: type[Exception]) -> set[type[Exception]]:
    return {root}.union(*(_tree(child) for child in root.__subclasses__()))


def test_every_refusal_has_a_status() -> None:
    assert set(STATUS) == _tree(LedgerError) | _tree(DeskError)


def test_what_passes_is_told_in_fixed_words() -> None:
    passing = {getattr(error, "code", "") for error, status in STATUS.items() if status == 503}
    assert passing == set(UNAVAILABLE)


def test_the_tree_in_the_docstring_names_every_class() -> None:
    told = desk_errors.__doc__ or ""
    assert [each for each in _tree(DeskError) if each.__name__ not in told] == []


BODIES: tuple[tuple[bytes, str, int, str], ...] = (
    (b"", "application/json", 422, "invalid_input"),
    (b"{", "application/json", 400, "invalid_json"),
    (b'{"name": "a"} x', "application/json", 400, "invalid_json"),
    (b'{"name": "a", "name": "b"}', "application/json", 400, "invalid_json"),
    (b'{"name": NaN}', "application/json", 400, "invalid_json"),
    (b'{"name": "\xff"}', "application/json", 400, "invalid_json"),
    (b"[" * 100_000, "application/json", 400, "invalid_json"),
    (b'{"name": ' + b"1" * 5_000 + b"}", "application/json", 400, "invalid_json"),
    (b'{"name": "a\\u0000"}', "application/json", 422, "invalid_input"),
    (b'{"name": "\\ud800"}', "application/json", 422, "invalid_input"),
    (b"[]", "application/json", 422, "invalid_input"),
    (b"null", "application/json", 422, "invalid_input"),
    (b'"a"', "application/json", 422, "invalid_input"),
    (b"{}", "application/json", 422, "invalid_input"),
    (b'{"name": 1}', "application/json", 422, "invalid_input"),
    (b'{"name": null}', "application/json", 422, "invalid_input"),
    (b'{"name": "a", "id": "b"}', "application/json", 422, "unknown_field"),
    (b"name=a", "application/x-www-form-urlencoded", 422, "invalid_input"),
    (b'{"name": "a"}', "text/plain", 422, "invalid_input"),
    (b"x" * (BODY_MAX_BYTES + 1), "application/json", 413, "request_too_large"),
)


def test_what_is_not_the_body_asked_for_is_a_problem(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        for body, media_type, status, code in BODIES:
            headers = {"content-type": media_type}
            answer = await desk.post("/accounts", content=body, headers=headers)
            _assert_problem(answer, status, code)
        assert (await desk.get("/accounts")).json()["accounts"] == []

    at_desk(servers, check)


def test_a_body_without_a_length_is_bounded_too(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        async def endless() -> Any:  # noqa: ANN401 - chunks
            for _ in range(10_000):
                yield b" " * 10_000

        answer = await desk.post(
            "/accounts", content=endless(), headers={"content-type": "application/json"}
        )
        _assert_problem(answer, 413, "request_too_large")
        largest = json.dumps({"name": "a"}).ljust(BODY_MAX_BYTES)
        answer = await desk.post(
            "/accounts", content=largest, headers={"content-type": "application/json"}
        )
        assert answer.status_code == 201
        answer = await desk.post("/accounts", content=b"x", headers={"content-encoding": "gzip"})
        _assert_problem(answer, 415, "unsupported_media_type")

    at_desk(servers, check)


def test_what_does_not_exist_is_a_problem(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        for method, path, status, code in (
            ("GET", "/nothing", 404, "not_found"),
            ("GET", "/", 404, "not_found"),
            ("GET", "", 404, "not_found"),
            ("GET", "/accounts/", 404, "not_found"),
            ("GET", "/docs", 404, "not_found"),
            ("GET", "/redoc", 404, "not_found"),
            ("PUT", "/accounts", 405, "method_not_allowed"),
            ("TRACE", "/accounts", 405, "method_not_allowed"),
            ("GET", "/accounts/not-an-id", 422, "invalid_input"),
            ("GET", "/accounts?limit=0", 422, "invalid_input"),
            ("GET", "/accounts?limit=1001", 422, "invalid_input"),
            ("GET", "/accounts?after=-1", 422, "invalid_input"),
            ("GET", f"/accounts?after={2**63}", 422, "invalid_input"),
            ("GET", "/ledger/events?acount=x", 422, "invalid_input"),
            ("GET", "/ledger/events?limit=1&limit=2", 422, "invalid_input"),
            ("GET", "/channels?x=1", 422, "invalid_input"),
            ("GET", "/ledger/events?limit=1001", 422, "invalid_input"),
            ("GET", "/ledger/events?account=x", 422, "invalid_input"),
        ):
            _assert_problem(await desk.ask(method, path), status, code)

    at_desk(servers, check)


def test_every_answer_has_its_own_request_id_and_is_not_cached(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        answers = [
            await desk.get("/accounts", headers={"x-request-id": "chosen"}),
            await desk.get("/nothing"),
            await desk.get("/accounts", token=None),
            await desk.get("/openapi.json"),
        ]
        ids = {answer.headers["x-request-id"] for answer in answers}
        assert len(ids) == len(answers)
        assert all(UUID(each).version == 7 for each in ids)
        assert {answer.headers["cache-control"] for answer in answers} == {"no-store"}

    at_desk(servers, check)


def test_a_bug_is_told_without_its_words(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        @desk.app.get("/bug")
        async def bug() -> None:
            raise ZeroDivisionError(ROOT_TOKEN)

        answer = await desk.get("/bug")
        _assert_problem(answer, 500, "internal_error")
        assert ROOT_TOKEN not in answer.text

    at_desk(servers, check)


def test_without_a_database_everything_is_503_and_then_heals(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account_id = await desk.account()
        await _let_in(servers, is_allowed=False)
        for method, path, body in (
            ("GET", "/accounts", None),
            ("GET", f"/accounts/{account_id}/balance", None),
            ("GET", "/channels", None),
            ("GET", "/ledger/events", None),
            ("GET", f"/requests/{uuid4()}", None),
            ("POST", "/accounts", {"name": "a"}),
            ("POST", f"/accounts/{account_id}/credits", {"amount": "1", "reason": "r"}),
            ("PUT", "/groups/g", {"multiplier": "1"}),
        ):
            refused = await desk.ask(method, path, json=body)
            _assert_problem(refused, 503, "store_unavailable")
            assert refused.headers["retry-after"] == "1"
            assert "host=" not in refused.text
        await _let_in(servers, is_allowed=True)
        deadline_s = clock.monotonic_s() + 20
        while (await desk.credit(account_id, "1")).status_code != 201:
            assert clock.monotonic_s() < deadline_s
        balance = (await desk.get(f"/accounts/{account_id}/balance")).json()
        assert balance["posted"] == "1"

    at_desk(servers, check)


def test_a_command_goes_on_when_its_caller_gives_up(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account_id = await desk.account()
        asking = asyncio.create_task(desk.credit(account_id, "7"))
        while not desk.desk.commands._running:
            await asyncio.sleep(0)
        asking.cancel()
        await asyncio.wait([asking])
        assert asking.cancelled()
        await desk.desk.commands.close()
        balance = (await desk.get(f"/accounts/{account_id}/balance")).json()
        assert balance["posted"] == "7"

    at_desk(servers, check)


def test_impatience_is_told_and_takes_nothing_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk_module, "FINISHED_WITHIN_S", 0.01)

    async def check() -> None:
        commands, may_end, ended = Commands(), asyncio.Event(), asyncio.Event()

        async def command() -> None:
            await may_end.wait()
            ended.set()

        with pytest.raises(OutcomeUnknown):
            await commands.finish(command())
        may_end.set()
        await commands.close()
        assert ended.is_set()

    asyncio.run(check())


def test_a_question_that_takes_too_long_is_given_up(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        with pytest.raises(QueryTooSlow):
            async with desk.desk.reading() as connection:
                await connection.execute("select pg_sleep(60)")

    at_desk(servers, check)


@pytest.mark.parametrize("path", ["/accounts", "/channels", "/prices/m", "/groups/g"])
def test_errors_do_not_repeat_what_was_sent(servers: Servers, path: str) -> None:
    async def check(desk: OpenDesk) -> None:
        method = "PUT" if path.count("/") == 2 else "POST"
        canary = "sk-canary-in-the-wrong-place"
        for body in ({"name": {"x": canary}}, {canary + "\n": 1}, [canary], {"multiplier": canary}):
            answer = await desk.ask(method, path, json=body)
            assert answer.status_code == 422
            if canary + "\n" not in body:
                assert canary not in answer.text

    at_desk(servers, check)


async def _let_in(servers: Servers, *, is_allowed: bool) -> None:
    """Whether Postgres accepts connections to the desk's database; if not, it ends them all."""
    database = str(conninfo_to_dict(servers.dsn)["dbname"])
    name = sql.Identifier(database)
    change = sql.SQL("alter database {} allow_connections {}").format(name, is_allowed)
    end = "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s"
    connection = await psycopg.AsyncConnection.connect(servers.maintenance_dsn, autocommit=True)
    async with connection:
        await connection.execute(change)
        if not is_allowed:
            await connection.execute(end, (database,))


def _assert_problem(answer: httpx2.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json().get("code")) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert told["status"] == status
    assert told["type"] == f"urn:tollgate:problem:{code}"
    assert told["request_id"] == answer.headers["x-request-id"]
    assert told["detail"]
    assert set(told) <= {"type", "title", "status", "code", "detail", "request_id", "errors"}
