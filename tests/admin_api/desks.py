"""Opens a whole desk over real servers, with a client on its own event loop.

async with open_desk(servers) as desk:
    answer = await desk.post("/accounts", json={"name": "Ada"})
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx2
from fastapi import FastAPI
from msgspec.structs import replace
from psycopg_pool import AsyncConnectionPool

from admin_api.channels.asker import AnsweredQuestion
from admin_api.channels.types import ChannelSetting, ChannelType
from admin_api.desk import Desk
from admin_api.errors import NotAnswered
from admin_api.http.application import PREFIX, build_desk
from admin_api.operators import operations as operators
from gateway.channels.overrides.reading import read_overrides
from ledger import clock
from ledger.application import Ledger
from ledger.ids import charge_id, entity_id
from ledger.pricing import Multiplier, Price
from ledger.store.writer import Writer
from ledger.streams.charge import rules as charge
from ledger.streams.charge.events import Attempt, Cover, Terms
from ledger.usage import Usage
from ledger.vault import Vault
from projections.cache.balances import BalanceCache
from projections.cache.breaker import Breaker
from projections.cache.channel_keys import SharedChannelKeys
from projections.cache.connection import RedisConnection
from projections.cache.guarded import GuardedRedis
from projections.cache.scripts import BALANCE_SCRIPTS
from projections.configuration import Configuration

ROOT_TOKEN = "tg-" + "r" * 48
CHANNEL_TYPES: Mapping[str, ChannelType] = {
    "openai": ChannelType(base_url="https://api.openai.com/v1"),
    "compatible": ChannelType(needs_base_url=True),
    "echo": ChannelType(needs_key=False),
    "regional": ChannelType(
        base_url="https://{region}.example.com",
        key_format="`access|secret` or a JSON object",
        key_pattern=r"[^|]+\|[^|]+",
        key_may_be_json=True,
        formats=("openai_chat", "gemini"),
        settings=(
            ChannelSetting("region", "Where it is.", is_required=True, pattern="[a-z0-9-]{1,20}"),
            ChannelSetting(
                "login_url",
                "Where tokens come from.",
                default="https://login.example.com",
                pattern="https://.*",
                leads_keys=True,
            ),
        ),
    ),
    "whole": ChannelType(needs_base_url=True, is_whole_url=True, needs_key=False),
}
SECRET = "a secret of the tests, and of nothing else"


@dataclass(frozen=True, slots=True)
class Servers:
    """Where Postgres (migrated) and Valkey are; `maintenance_dsn` is beside the database."""

    dsn: str
    maintenance_dsn: str
    redis_url: str


@dataclass(frozen=True, slots=True)
class OpenDesk:
    """A running desk and a client of it with the root operator's token."""

    desk: Desk
    app: FastAPI
    client: httpx2.AsyncClient
    cache: BalanceCache

    async def ask(self, method: str, path: str, **options: Any) -> httpx2.Response:  # noqa: ANN401 - as httpx2 takes them
        """One exchange; `token` replaces root's, None for none."""
        token = options.pop("token", ROOT_TOKEN)
        headers = dict(options.pop("headers", {}))
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        return await self.client.request(method, PREFIX + path, headers=headers, **options)

    async def get(self, path: str, **options: Any) -> httpx2.Response:  # noqa: ANN401 - as httpx2 takes them
        """GET."""
        return await self.ask("GET", path, **options)

    async def post(self, path: str, **options: Any) -> httpx2.Response:  # noqa: ANN401 - as httpx2 takes them
        """POST."""
        return await self.ask("POST", path, **options)

    async def put(self, path: str, **options: Any) -> httpx2.Response:  # noqa: ANN401 - as httpx2 takes them
        """PUT."""
        return await self.ask("PUT", path, **options)

    async def patch(self, path: str, **options: Any) -> httpx2.Response:  # noqa: ANN401 - as httpx2 takes them
        """PATCH."""
        return await self.ask("PATCH", path, **options)

    async def account(self, name: str = "Ada") -> str:
        """The id of a fresh account."""
        answer = await self.post("/accounts", json={"name": name})
        assert answer.status_code == 201, answer.text
        account_id: str = answer.json()["id"]
        return account_id

    async def credit(self, account_id: str, amount: str, **options: Any) -> httpx2.Response:  # noqa: ANN401 - as httpx2 takes them
        """A credit, with a reason."""
        body = {"amount": amount, "reason": "a test"}
        return await self.post(f"/accounts/{account_id}/credits", json=body, **options)

    async def key(self, account_id: str, **terms: Any) -> tuple[str, str]:  # noqa: ANN401 - JSON
        """Id and secret of a fresh key."""
        answer = await self.post(f"/accounts/{account_id}/keys", json={"name": "k", **terms})
        assert answer.status_code == 201, answer.text
        return answer.json()["id"], answer.json()["key"]

    async def operator(self, role: str) -> str:
        """The token of a fresh operator."""
        answer = await self.post("/operators", json={"name": role, "role": role})
        assert answer.status_code == 201, answer.text
        token: str = answer.json()["token"]
        return token

    async def one_operator(self) -> None:
        """Say that nobody else is there to approve, so that whoever is new may."""
        body = {"value": "yes", "reason": "one_operator"}
        answer = await self.put("/settings/approvals.one_operator", json=body)
        assert answer.status_code == 200, answer.text

    async def approver(self, role: str = "finance") -> str:
        """The token of a fresh operator who may approve at once."""
        await self.one_operator()
        return await self.operator(role)

    async def settled_call(
        self, account_id: str, key_id: str, *tries: Attempt, **changes: object
    ) -> UUID:
        """The id of a call that was reserved and settled: 1,000 in, 100 out, at 1 and 2 USD."""
        handle, stream_id = self.desk.ledger.handle, charge_id()
        cover = Cover(account_id=UUID(account_id), key_id=UUID(key_id))
        terms = Terms(model="m", group="default", price_version=1, multiplier=Multiplier(3, 2))
        node: dict[str, Any] = {"node": "n", "boot": entity_id()}
        channel_id = entity_id()
        opening = charge.Reserve(
            hold_nanos=5_000_000,
            cover=cover,
            terms=terms,
            admitted_at_us=clock.now_us(),
            dialect="openai_chat",
            **node,
        )
        await handle(charge.STREAM, stream_id, opening)
        closing = charge.Settle(
            usage=Usage(input=1_000, output=100),
            price=Price(rates={"input": 1_000_000_000, "output": 2_000_000_000}),
            basis="measured",
            ending="stop",
            channel_id=channel_id,
            upstream_model="upstream-m",
            attempts=(*tries, Attempt(channel_id=channel_id, outcome="answered", status=200)),
            **node,
        )
        closing = replace(closing, **changes)
        await handle(charge.STREAM, stream_id, closing)
        return stream_id


class NobodyAsks:
    """Questions to providers are asked in tests of the whole program."""

    async def ask(self, *_question: object) -> AnsweredQuestion:
        raise AssertionError("nobody is asked here")

    async def offered(self, *_channel: object) -> list[str]:
        raise NotAnswered("nobody is asked here")


@contextlib.asynccontextmanager
async def open_desk(servers: Servers) -> AsyncIterator[OpenDesk]:
    """A desk with a writer, a cache and a configuration of its own, as a worker has them."""
    redis = GuardedRedis(RedisConnection(servers.redis_url, BALANCE_SCRIPTS), Breaker())
    await redis.start()
    cache = BalanceCache(redis)
    writer = Writer(servers.dsn, cache.publish)
    async with AsyncConnectionPool(servers.dsn, min_size=1, max_size=8, timeout=1) as pool:
        configuration = Configuration(servers.dsn, pool)
        await configuration.load()
        following = asyncio.create_task(configuration.run())
        ledger = Ledger(pool, writer)
        channel_keys = SharedChannelKeys(redis)
        desk = Desk(
            pool,
            ledger,
            Vault(SECRET),
            configuration,
            CHANNEL_TYPES,
            channel_keys,
            read_overrides,
            NobodyAsks(),
        )
        await operators.open_root(desk, ROOT_TOKEN, actor="installation")
        app = build_desk(desk)
        transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
        try:
            async with httpx2.AsyncClient(transport=transport, base_url="http://desk") as client:
                yield OpenDesk(desk, app, client, cache)
        finally:
            await desk.commands.close()
            following.cancel()
            await asyncio.wait([following])
            await writer.close()
            await redis.close()


def at_desk(servers: Servers, test: Callable[[OpenDesk], Coroutine[Any, Any, None]]) -> None:
    """Run a test at a fresh desk."""

    async def run() -> None:
        async with open_desk(servers) as desk:
            await test(desk)

    asyncio.run(run())
