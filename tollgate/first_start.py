"""The root operator, and what a fresh ledger begins with: each made once, whoever comes first."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar
from uuid import UUID

from psycopg_pool import AsyncConnectionPool

from ledger.application import Ledger
from ledger.errors import VersionConflict
from ledger.ids import derived_id, key_digest
from ledger.store.append import NewEvent
from ledger.store.writer import Writer
from ledger.streams import setting, user
from ledger.streams.contract import Event, Stream
from tollgate.settings import Settings

ROOT_USER_ID = derived_id("user", "root")
TIME_ZONE_SETTING = "book.time_zone"
TOKEN_METHOD = "access_token"  # noqa: S105 - the name of a sign-in method
_ACTOR = "installation"
_ATTEMPTS_MAX = 8

Result = TypeVar("Result")


def seed(app_dsn: str, settings: Settings) -> str | None:
    """Register the root operator and set the book's time zone, where that was never done.

    Returns the root operator's token if it was minted here; None if one was set, or he exists.
    Raises psycopg.OperationalError, StoreUnavailable.
    """

    async def work(ledger: Ledger, writer: Writer) -> str | None:
        zone = setting.ChangeSetting(TIME_ZONE_SETTING, settings.time_zone, _ACTOR)
        zone_id = setting.setting_stream_id(TIME_ZONE_SETTING)
        await _begin(ledger, writer, setting.STREAM, zone_id, [zone])
        token = settings.initial_root_access_token or _new_token()
        root = [
            user.Register(ROOT_USER_ID, "root", _ACTOR),
            user.Link(TOKEN_METHOD, key_digest(token), _ACTOR),
        ]
        was_made = await _begin(ledger, writer, user.STREAM, ROOT_USER_ID, root)
        return token if was_made and settings.initial_root_access_token is None else None

    return with_ledger(app_dsn, work)


def replace_root_tokens(app_dsn: str) -> str:
    """Revoke every token of the root operator; returns the one that is accepted from now on.

    Raises psycopg.OperationalError, StoreUnavailable, NotFound.
    """

    async def work(ledger: Ledger, writer: Writer) -> str:
        token = _new_token()
        for attempt in range(_ATTEMPTS_MAX):
            root = await ledger.state(user.STREAM, ROOT_USER_ID)
            commands: list[user.Command] = [
                user.Unlink(method, subject, _ACTOR, "token reset")
                for method, subject in sorted(root.identities)
                if method == TOKEN_METHOD
            ]
            commands.append(user.Enable(_ACTOR, "token reset"))
            commands.append(user.Link(TOKEN_METHOD, key_digest(token), _ACTOR))
            try:
                await writer.append(_decided(user.STREAM, ROOT_USER_ID, root, commands))
            except VersionConflict:
                if attempt == _ATTEMPTS_MAX - 1:
                    raise
            else:
                break
        return token

    return with_ledger(app_dsn, work)


def with_ledger(app_dsn: str, work: Callable[[Ledger, Writer], Awaitable[Result]]) -> Result:
    """Run a piece of work on the write side, in a program that is not serving."""

    async def run() -> Result:
        writer = Writer(app_dsn)
        await writer.connect()
        try:
            async with AsyncConnectionPool(app_dsn, min_size=1, max_size=2, open=False) as pool:
                return await work(Ledger(pool, writer), writer)
        finally:
            await writer.close()

    return asyncio.run(run())


async def _begin(
    ledger: Ledger, writer: Writer, stream: Stream, stream_id: UUID, commands: Sequence[object]
) -> bool:
    """Write a stream's first events; False where it had begun already."""
    state = await ledger.state(stream, stream_id)
    if state.version:
        return False
    try:
        await writer.append(_decided(stream, stream_id, state, commands))
    except VersionConflict:
        return False  # another node starts for the first time too
    return True


def _decided(
    stream: Stream,
    stream_id: UUID,
    state: object,
    commands: Sequence[object],
) -> list[NewEvent]:
    """The events of several commands to one stream, as one group."""
    events: list[Event] = []
    version: int = state.version  # type: ignore[attr-defined]  # every state has one
    for command in commands:
        for event in stream.decide(state, command):
            events.append(event)
            state = stream.evolve(state, event)
    return [NewEvent(stream_id, version + number, event) for number, event in enumerate(events, 1)]


def _new_token() -> str:
    return "tg-root-" + secrets.token_urlsafe(32)
