"""Postgres killed under the writer: holds are refused, closings survive, nobody is lied to."""

import asyncio
import shutil
from collections.abc import Iterator
from uuid import UUID

import pytest

from ledger.errors import NotStored, StoreUnavailable
from ledger.store.append import NewEvent
from ledger.store.migrate import migrate
from ledger.store.writer import Writer
from ledger.usage import Usage
from tests.ledger.building import Call, Payer, credit, payer, refund, reserve, settle
from tests.ledger.store.appending import balance, connect, log
from tests.servers import make_data_directory
from tollgate.embedded import processes
from tollgate.embedded.postgres import APPLICATION, EmbeddedPostgres


@pytest.fixture
def mortal_server() -> Iterator[EmbeddedPostgres]:
    """A Postgres of this test's own, with the schema and an empty log."""
    directory = make_data_directory()
    server = EmbeddedPostgres(directory)
    server.start()
    migrate(server.owner_dsn, APPLICATION)
    yield server
    server.stop()
    shutil.rmtree(directory.root.parent)


async def kill(server: EmbeddedPostgres) -> None:
    assert server.process is not None
    server.process.kill()
    await asyncio.to_thread(server.process.wait)


def backend_pids(server: EmbeddedPostgres) -> list[int]:
    with connect(server.owner_dsn) as connection:
        rows = connection.execute(
            "select pid from pg_stat_activity where application_name like 'tollgate-writer-%'"
        ).fetchall()
    assert rows
    return [pid for (pid,) in rows]


class Told:
    """What the callers of one writer learned."""

    def __init__(self) -> None:
        self.stored: dict[tuple[UUID, int], int] = {}
        self.refused: set[UUID] = set()

    async def append(self, writer: Writer, group: list[NewEvent]) -> bool:
        try:
            appended = await writer.append(group)
        except (NotStored, StoreUnavailable):
            self.refused.add(group[0].stream_id)
            return False
        for new, position in zip(group, appended.positions, strict=True):
            self.stored[new.stream_id, new.version] = position
        return True


async def keep_calling(writer: Writer, paying: Payer, told: Told, stop: asyncio.Event) -> None:
    while not stop.is_set():
        call = Call()
        if await told.append(writer, call.next(reserve(paying.cover(), 10))):
            assert await told.append(writer, call.next(settle(Usage(input=1))))
        else:
            await asyncio.sleep(0.01)


def test_callers_know_the_truth_when_postgres_is_killed_at_full_load(
    mortal_server: EmbeddedPostgres, is_long: bool
) -> None:
    paying, told = payer(), Told()

    async def run() -> None:
        writer, stop = Writer(mortal_server.app_dsn), asyncio.Event()
        await told.append(writer, [credit(paying.account_id, 10**9)])
        callers = [asyncio.create_task(keep_calling(writer, paying, told, stop)) for _ in range(20)]
        for _ in range(10 if is_long else 2):
            await asyncio.sleep(0.3)
            await kill(mortal_server)
            # What is in flight now has no answer before the server is back: nobody may wait here.
            await asyncio.sleep(0.1)
            await asyncio.to_thread(mortal_server.start)
        await asyncio.sleep(0.3)
        stop.set()
        await asyncio.gather(*callers)
        await writer.close()
        assert writer.reconnects > 1

    asyncio.run(run())
    with connect(mortal_server.app_dsn) as connection:
        events = log(connection)
        now = balance(connection, paying.account_id)
    assert {(e.stream_id, e.version): e.position for e in events} == told.stored
    assert told.refused.isdisjoint(event.stream_id for event in events)
    assert now is not None
    assert (now.held_nanos, now.posted_nanos) == (0, 10**9 - (len(events) - 1) // 2)


def test_while_postgres_is_down_holds_are_refused_and_a_closing_waits(
    mortal_server: EmbeddedPostgres,
) -> None:
    paying, call = payer(), Call()

    async def run() -> None:
        writer = Writer(mortal_server.app_dsn)
        await writer.append([credit(paying.account_id, 10)])
        await writer.append(call.next(reserve(paying.cover(), 10)))
        backends = backend_pids(mortal_server)
        await kill(mortal_server)
        # A backend outlives its postmaster until it next waits for something. Bounded, for where
        # nobody reaps orphans they seem to live for ever.
        for _ in range(200):
            if any(processes.is_alive(pid) for pid in backends):
                await asyncio.sleep(0.01)
        for _ in range(3):
            with pytest.raises(StoreUnavailable):
                await writer.append(Call().next(reserve(paying.cover(), 1)))
        closing = writer.append(call.next(refund()))
        await asyncio.sleep(0.2)
        assert not closing.done()
        await asyncio.to_thread(mortal_server.start)
        assert (await closing).positions == (3,)
        await writer.close()

    asyncio.run(run())
    with connect(mortal_server.app_dsn) as connection:
        assert [event.position for event in log(connection)] == [1, 2, 3]
