"""Secrets that went through the whole program are found nowhere outside their sealed cells."""

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
import redis
from psycopg import sql

from tests.calling import Answer, Client
from tests.fake_provider import (
    FakeProvider,
    Script,
    chunk,
    error,
    event_chunk,
    opened,
    whole,
)
from tests.proxies import PassingProxy, passing
from tests.running import Served

PROVIDER_KEY = "sk-canary-b7c1d2e94f6a48c1a53f0d77e2b96c11"
HEADER_SECRET = "canary-header-71d0a9e3c5b84f2f"
PROXY_PASSWORD = "canary-49e0c5b1d27f4a8391e6"
MODEL = "canary/model"
TOLD = f"Incorrect API key provided: {PROVIDER_KEY}."

SCRIPTS: dict[str, Script] = {
    "tells 500": whole(error(TOLD), status=500),
    "tells 422": whole(error(TOLD), status=422),
    "tells 429": whole(error(TOLD), status=429, headers={"x-key": PROVIDER_KEY}),
    "tells under 200": whole(error(TOLD)),
    "tells in a text": whole(TOLD.encode(), status=400),
    "tells in a header": whole(headers={"x-your-key": PROVIDER_KEY, "set-cookie": PROVIDER_KEY}),
    "tells in a stream": (
        opened(),
        event_chunk(chunk({"content": "a"})),
        event_chunk(b'data: {"error":{"message":"%s"}}\n\n' % TOLD.encode()),
        b"0\r\n\r\n",
    ),
    "tells at once in a stream": (
        opened(),
        event_chunk(b'data: {"error":{"message":"%s"}}\n\n' % TOLD.encode()),
        b"0\r\n\r\n",
    ),
    "tells that it is wrong": whole(error(TOLD), status=401),
}


@dataclass
class Told:
    """Every answer that was given, but for the two that hand a secret over."""

    answers: list[Answer] = field(default_factory=list)

    def note(self, answer: Answer) -> Answer:
        self.answers.append(answer)
        return answer


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[PassingProxy]:
    with passing("http", tmp_path) as running:
        yield running


@pytest.fixture
def channel(program: Served, provider: FakeProvider, proxy: PassingProxy) -> Iterator[str]:
    port = proxy.listener.getsockname()[1]
    provider.scripts.update(SCRIPTS)
    program.books.price(MODEL, input=1, output=2)
    answer = program.desk.call(
        "POST",
        "/channels",
        {
            "name": "Canary",
            "type": "openai",
            "base_url": provider.base_url(),
            "keys": [PROVIDER_KEY],
            "models": [MODEL],
            "header_overrides": {"X-Team-Secret": HEADER_SECRET, "x-key-again": "{api_key}"},
            "proxy": f"http://canary:{PROXY_PASSWORD}@127.0.0.1:{port}",
        },
    )
    assert answer.status == 201, answer
    assert PROVIDER_KEY.encode() not in answer.body
    yield answer.json()["id"]
    program.desk.call("DELETE", f"/channels/{answer.json()['id']}")


def test_no_secret_is_found_anywhere(
    program: Served, provider: FakeProvider, channel: str, proxy: PassingProxy
) -> None:
    told = Told()
    key, token = new_secrets(program)
    use_everything(program, told, channel, key, token)
    assert any(PROVIDER_KEY in one.headers["authorization"] for one in provider.received)
    for name, sent in (("x-team-secret", HEADER_SECRET), ("x-key-again", PROVIDER_KEY)):
        assert {one.headers[name] for one in provider.received} == {sent}
    passes = b64encode(f"canary:{PROXY_PASSWORD}".encode()).decode()
    assert all(passes.encode() in head for head in proxy.heads)
    secrets = [PROVIDER_KEY, HEADER_SECRET, PROXY_PASSWORD, passes, key, token, program.root_token]
    for secret in [text.encode() for text in secrets]:
        for answer in told.answers:
            assert secret not in answer.body, answer
            assert secret not in repr(answer.headers).encode(), answer
        assert found_in_files(program, secret) == []
        assert found_in_tables(program, secret) == []
        assert found_in_redis(program, secret) == []


def test_the_search_finds_what_is_there(program: Served) -> None:
    """The proof of the other test: what is known to be in each place is found there."""
    node = b"worker-1"
    assert found_in_tables(program, b"charge.QuotaReserved")
    assert [name for name in found_in_files(program, node) if name.endswith("log")]
    with program.redis() as connection:
        connection.hset("canary:test", "field", "needle-in-a-hash")
        assert found_in_redis(program, b"needle-in-a-hash") == ["canary:test"]
        connection.delete("canary:test")


def new_secrets(program: Served) -> tuple[str, str]:
    """An API key with money and an operator's token, as the desk hands them out."""
    account = program.desk.call("POST", "/accounts", {"name": "Canary"}).json()["id"]
    credit = {"amount": "5", "reason": "canary"}
    assert program.desk.call("POST", f"/accounts/{account}/credits", credit).status == 201
    key = program.desk.call("POST", f"/accounts/{account}/keys", {"name": "Canary"}).json()["key"]
    operator = program.desk.call("POST", "/operators", {"name": "Canary", "role": "auditor"})
    return key, operator.json()["token"]


def use_everything(program: Served, told: Told, channel: str, key: str, token: str) -> None:
    client = program.client(key)
    fine = told.note(client.chat(MODEL))
    assert fine.status == 200
    told.note(client.chat(MODEL, stream=True, metadata={"script": "fine_stream"}))
    for name in SCRIPTS:
        is_stream = "stream" in name
        told.note(client.chat(MODEL, stream=is_stream, metadata={"script": name}))
    told.note(client.get("/v1/models"))
    told.note(client.get(f"/v1/chat/completions?key={key}"))
    told.note(client.chat("no-such-model"))
    told.note(client.call("POST", "/v1/chat/completions", {"model": key}))
    told.note(client.call("POST", "/v1/chat/completions", {"messages": token}))
    told.note(Client(program.port, key + "x").chat(MODEL))
    auditor = Client(program.port, token, "/api/v1")
    for path in (
        "/channels",
        f"/channels/{channel}",
        f"/requests/{fine.request_id}",
        "/ledger/events?limit=1000",
        f"/accounts?token={token}",
    ):
        told.note(auditor.get(path))
    told.note(auditor.call("POST", "/accounts", {"name": 7, "key": key}))
    assert told.answers[-6].status == 200


def found_in_files(program: Served, secret: bytes) -> list[str]:
    """Files of the installation, its log among them, that hold the secret."""
    found = []
    for path in program.data.root.parent.rglob("*"):
        if path.is_file() and not path.is_symlink():
            try:
                content = path.read_bytes()
            except FileNotFoundError:  # Postgres comes and goes
                continue
            if secret in content:
                found.append(str(path))
    return found


def found_in_tables(program: Served, secret: bytes) -> list[str]:
    """Tables that hold the secret, read as their owner in the format that hides nothing."""
    found = []
    with psycopg.connect(program.owner_dsn) as connection:
        tables = connection.execute(
            "select schemaname, tablename from pg_tables "
            "where schemaname not in ('pg_catalog', 'information_schema')"
        ).fetchall()
        for schema, table in tables:
            copying = sql.SQL("copy {} to stdout (format binary)").format(
                sql.Identifier(schema, table)
            )
            with connection.cursor().copy(copying) as copy:
                if secret in b"".join(bytes(block) for block in copy):
                    found.append(f"{schema}.{table}")
    return found


def found_in_redis(program: Served, secret: bytes) -> list[str]:
    """Keys that hold the secret, in their name or in what they hold."""
    with program.redis() as connection:
        return [
            key.decode("latin-1")
            for key in connection.scan_iter(count=1_000)
            if secret in key or secret in repr(value_of(connection, key)).encode()
        ]


def value_of(connection: redis.Redis, key: bytes) -> object:
    match connection.type(key):
        case b"hash":
            return connection.hgetall(key)
        case b"zset":
            return connection.zrange(key, 0, -1)
        case b"string":
            return connection.get(key)
        case kind:
            raise AssertionError(f"nobody looks into a {kind!r}")
