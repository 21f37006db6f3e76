"""Upkeep: what is thrown away, and above all what is not."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID, uuid4

import psycopg

from admin_api.accounts import operations as accounts
from admin_api.channels import operations as channels
from admin_api.channels.operations import ChannelInput
from admin_api.credits.operations import Idempotency, NewCredit, grant_credit
from admin_api.desk import Desk
from admin_api.keys import operations as api_keys
from gateway.stored_responses.store import StoredResponse, StoredResponses
from ledger import vault
from ledger.vault import Place
from tests.servers import FreshDatabase
from tollgate.core import Core, open_core
from tollgate.processes.upkeep import ORPHANED_FOR_S, Upkeep

SECRET = "4f9a1c7be2d05836a91f0b7c3d8e6f25"


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_where_answers_are_kept_is_forgotten_after_a_month(
    ledger_database: FreshDatabase, redis_url: str
) -> None:
    async def scenario(core: Core) -> None:
        account_id = uuid4()
        kept = StoredResponses(core.pool, core.vault)
        for days in range(29, 34):
            one = StoredResponse(account_id, f"resp_{days}", uuid4(), None, None, "m", 7, 3)
            assert await kept.remember(one, '{"what": "was said"}')
        async with core.pool.connection() as connection:
            await connection.execute(
                "update operations.kept_response set created_at = clock_timestamp() "
                "- make_interval(days => substr(response_id, 6)::int)"
            )
        upkeep = Upkeep(core.pool, clock := Clock())
        assert await upkeep.tidy() == (0, 0)
        clock.now_s = ORPHANED_FOR_S
        assert await upkeep.tidy() == (0, 0)
        for days in range(29, 34):
            one_more = await kept.find(account_id, f"resp_{days}")
            assert (one_more is not None) == (days < 31)
            if one_more is not None:
                told = await kept.documents([one_more])
                assert told == {f"resp_{days}": {"what": "was said"}}
        assert {kind for kind, _ in await cells(core)} == {"kept_response"}
        assert len(await cells(core)) == 2

    run(ledger_database, redis_url, scenario)


def test_cells_whose_event_never_came_go_after_an_hour_and_no_others(
    ledger_database: FreshDatabase, redis_url: str
) -> None:
    async def scenario(core: Core) -> None:
        account_id = await furnish(core.desk())
        kept = await cells(core)
        assert {kind for kind, _ in kept} == {
            "account", "api_key", "channel", "channel_key", "channel_name", "credit",
        }  # fmt: skip
        for kind in (*(kind for kind, _ in kept), "channel_text", "user"):
            async with core.pool.connection() as connection:
                # What holds a name belongs to its channel, and this one never was.
                subject = uuid4() if kind == "channel_name" else account_id
                place = Place(kind, uuid4(), "name", subject)
                await vault.put(connection, core.vault, place, "never happened")
        clock = Clock()
        upkeep = Upkeep(core.pool, clock)
        assert await upkeep.tidy() == (0, 0)
        clock.now_s = ORPHANED_FOR_S - 1
        assert await upkeep.tidy() == (0, 0)
        clock.now_s = ORPHANED_FOR_S
        assert await upkeep.tidy() == (0, 8)
        assert await cells(core) == kept

    run(ledger_database, redis_url, scenario)


def test_a_cell_whose_event_came_late_is_kept(
    ledger_database: FreshDatabase, redis_url: str
) -> None:
    async def scenario(core: Core) -> None:
        account_id = uuid4()
        async with core.pool.connection() as connection:
            place = Place("account", account_id, "name", account_id)
            await vault.put(connection, core.vault, place, "Late")
        clock = Clock()
        upkeep = Upkeep(core.pool, clock)
        assert await upkeep.tidy() == (0, 0)
        await accounts.open_account(core.desk(), name="Late", actor="test", account_id=account_id)
        clock.now_s = 2 * ORPHANED_FOR_S
        assert await upkeep.tidy() == (0, 0)
        assert ("account", account_id) in await cells(core)

    run(ledger_database, redis_url, scenario)


def test_refusals_are_kept_for_seven_days(ledger_database: FreshDatabase, redis_url: str) -> None:
    with psycopg.connect(ledger_database.owner_dsn) as connection:
        for hours in (1, 24 * 7 - 1, 24 * 7 + 1, 24 * 30):
            connection.execute(
                "insert into operations.refusal (refusal_id, refused_at, status, code) "
                "values (gen_random_uuid(), clock_timestamp() - make_interval(hours => %s), "
                "429, 'x')",
                (hours,),
            )

    async def scenario(core: Core) -> None:
        assert await Upkeep(core.pool).tidy() == (2, 0)
        assert await Upkeep(core.pool).tidy() == (0, 0)

    run(ledger_database, redis_url, scenario)


def run(
    database: FreshDatabase, redis_url: str, scenario: Callable[[Core], Awaitable[None]]
) -> None:
    async def opened() -> None:
        async with open_core(database.app_dsn, redis_url, SECRET, connections_max=3) as core:
            await scenario(core)

    asyncio.run(opened())


async def furnish(desk: Desk) -> UUID:
    """An account with a credit and a key, and a channel with a provider's key."""
    account_id = await accounts.open_account(desk, name="A", actor="test")
    await grant_credit(
        desk,
        account_id,
        NewCredit("1", "because"),
        idempotency=Idempotency("test", "credit", "1"),
        actor="test",
    )
    await api_keys.issue_key(desk, account_id, name="K", terms={}, actor="test")
    given = ChannelInput(
        name="C",
        type="openai",
        base_url="https://provider.example/v1",
        keys=["sk-provider-key"],
        models={"m": "m"},
    )
    await channels.add_channel(desk, given, actor="test")
    return account_id


async def cells(core: Core) -> set[tuple[str, UUID]]:
    async with core.pool.connection() as connection:
        cursor = await connection.execute("select kind, row_id from vault.cell")
        return set(await cursor.fetchall())
