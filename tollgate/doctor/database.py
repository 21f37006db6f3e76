"""The doctor's look at the servers: Postgres and what is in it, and Redis."""

import hashlib
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import psycopg
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from admin_api.alarms.operations import count_of_last_day
from admin_api.desk import Desk
from ledger import clock
from ledger.store.migrate import migrations
from ledger.vault import Vault
from projections.registry import PROJECTIONS
from tollgate.core import channel_types
from tollgate.doctor import postgres_checks
from tollgate.doctor.believed_clock import clock_faults
from tollgate.doctor.cost_prices import cost_findings
from tollgate.doctor.postgres_checks import Finding
from tollgate.doctor.schema import schema_faults
from tollgate.installation import Installation

_CLOCK_SKEW_MAX_S = 2.0
_LAG_EVENTS_MAX = 10_000
_SUBJECTS_SHOWN_MAX = 3

_LAG = """
    select p.name, p.position, h.position from operations.projection p, ledger.head h
    where p.is_served and p.name = any(%s) and h.position - p.position > %s order by 1
"""


def examine_postgres(installation: Installation) -> Iterator[Finding]:
    """What is wrong with the database. Changes nothing, migrates nothing."""
    try:
        with (
            psycopg.connect(installation.app_dsn, connect_timeout=10) as connection,
            psycopg.connect(installation.owner_dsn, connect_timeout=10) as owner,
        ):
            yield from postgres_checks.faults(connection)
            yield from _clocks(connection)
            stale = list(_schema(owner))
            yield from stale
            if not stale:
                yield from schema_faults(connection)
                yield from clock_faults(connection)
                yield from _roles(connection, installation)
                yield from _lag(connection)
                yield from _vault(connection, installation)
    except psycopg.OperationalError as error:
        yield Finding(
            f"Postgres cannot be reached ({str(error).strip().partition(chr(10))[0]})",
            "start it, or correct SQL_DSN",
        )


def examine_redis(installation: Installation) -> Iterator[Finding]:
    """Whether the cache answers and can be written to."""
    once = Retry(NoBackoff(), retries=0)
    try:
        with redis.Redis.from_url(
            installation.redis_url, socket_timeout=5, socket_connect_timeout=5, retry=once
        ) as client:
            client.set("tollgate:doctor", "1", px=1_000)
    except redis.RedisError as error:
        yield Finding(
            f"Redis does not work ({error}), so every call waits for Postgres alone",
            "start it, or correct REDIS_CONN_STRING",
        )


async def examine_desk(desk: Desk) -> list[Finding]:
    """What was alarming of late, and what was configured so that calls cannot be served. The
    configuration is loaded.
    """
    return [*await _alarms(desk), *await _configured(desk)]


async def _alarms(desk: Desk) -> list[Finding]:
    counts = await count_of_last_day(desk)
    if not counts:
        return []
    kinds = ", ".join(f"{each.kind} {each.alarms}" for each in counts)
    total = sum(each.alarms for each in counts)
    return [Finding(f"{total} alarms in the last 24 hours: {kinds}", "see `tollgate alarms`")]


async def _configured(desk: Desk) -> list[Finding]:
    held = desk.configuration.held
    channels = [one for one in held.channels.values() if not one.is_removed]
    if not channels:
        return [Finding("there is no channel, so no call can be served", "`tollgate channel add`")]
    findings = []
    kinds = channel_types()
    kept = await _kept_keys(desk)
    for one in channels:
        kind = kinds.get(one.route.type)
        if kind is None:
            findings.append(
                Finding(
                    f"channel {one.channel_id} is of the unknown type {one.route.type!r}",
                    "remove it, or run the release that knows the type",
                )
            )
        elif kind.needs_key and kept.isdisjoint(one.usable_keys):
            findings.append(
                Finding(
                    f"channel {one.channel_id} has no usable key of its provider",
                    "see why by `tollgate channel keys ID`; bring one back by "
                    "`tollgate channel resume-key`, give it another by PATCH "
                    "/api/v1/channels/{id}, or remove it",
                )
            )
    now_us = clock.now_us()
    models = sorted({model for one in channels for model in one.route.models})
    findings += [
        Finding(
            f"model {model!r} has a channel and no price, so its calls are refused",
            f"`tollgate price set {model} input=... output=...`",
        )
        for model in models
        if model not in held.prices or held.prices[model].at(now_us) is None
    ]
    return [*findings, *cost_findings(desk.configuration, channels)]


async def _kept_keys(desk: Desk) -> set[UUID]:
    """The providers' keys that are in the vault: not all are, after `restore --without-vault`."""
    async with desk.pool.connection() as connection:
        cursor = await connection.execute("select row_id from vault.cell where kind='channel_key'")
        return {row_id for (row_id,) in await cursor.fetchall()}


def _clocks(connection: psycopg.Connection[Any]) -> Iterator[Finding]:
    row = connection.execute("select extract(epoch from clock_timestamp())").fetchone()
    assert row is not None
    skew_s = clock.now_us() / 1_000_000 - float(row[0])
    if abs(skew_s) > _CLOCK_SKEW_MAX_S:
        yield Finding(
            f"the clock of this machine is {skew_s:+.1f} s off the database's",
            "run a time service on both machines",
        )


def _schema(connection: psycopg.Connection[Any]) -> Iterator[Finding]:
    table = connection.execute("select to_regclass('tollgate_migration')").fetchone()
    if table == (None,):
        yield Finding("the database was never migrated", "start `tollgate serve` once")
        return
    applied = dict(connection.execute("select name, sha256 from tollgate_migration").fetchall())
    ours = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in migrations()}
    for name in sorted(set(applied) | set(ours)):
        if name not in ours:
            yield Finding(
                f"the database was migrated by a newer release ({name})", "run that release"
            )
        elif name not in applied:
            yield Finding(
                f"the migration {name} is missing", "start `tollgate serve`, which applies it"
            )
        elif applied[name] != ours[name]:
            yield Finding(
                f"the migration {name} is not the one the database was made with",
                "run the release that made the database",
            )


def _roles(connection: psycopg.Connection[Any], installation: Installation) -> Iterator[Finding]:
    row = connection.execute(
        "select has_table_privilege('ledger.event', 'update') "
        "or has_table_privilege('ledger.event', 'delete')"
    ).fetchone()
    if row == (True,) and not installation.is_single_role:
        yield Finding(
            "the application's role may change events",
            "revoke update, delete and truncate on ledger.event from it",
        )


def _lag(connection: psycopg.Connection[Any]) -> Iterator[Finding]:
    known = {projection.name for projection in PROJECTIONS}
    given = (sorted(known), _LAG_EVENTS_MAX)
    for name, position, head in connection.execute(_LAG, given).fetchall():
        yield Finding(
            f"the read model {name} is at position {position} of {head}",
            "look for `projection.` in the log of the background process, or rebuild it with "
            f"`tollgate ledger rebuild {name}`",
        )
    served = connection.execute("select name from operations.projection where is_served").fetchall()
    missing = known - {name for (name,) in served}
    head_row = connection.execute("select position from ledger.head").fetchone()
    if missing and served and head_row is not None and head_row[0] > 0:
        yield Finding(
            f"no rows were ever made of: {', '.join(sorted(missing))}",
            "start `tollgate serve`, whose background process makes them",
        )


def _vault(connection: psycopg.Connection[Any], installation: Installation) -> Iterator[Finding]:
    """Whether the secret opens every data key there is."""
    vault = Vault(installation.crypto_secret)
    tried = 0
    closed: list[UUID] = []
    with connection.cursor(name="data_keys", binary=True) as cursor:
        for subject, wrapped in cursor.execute("select subject, wrapped from vault.data_key"):
            tried += 1
            if not vault.holds(wrapped, subject):
                closed.append(subject)
    if closed and len(closed) == tried:
        yield Finding(
            "CRYPTO_SECRET is not the one the vault was sealed under",
            "set the one this database was made with; names and provider keys need it",
        )
    elif closed:
        shown = ", ".join(sorted(map(str, closed))[:_SUBJECTS_SHOWN_MAX])
        yield Finding(
            f"{len(closed)} of {tried} data keys do not open under CRYPTO_SECRET, as that of "
            f"{shown}, so that their names and provider keys cannot be read",
            "if they were sealed under another one, set CRYPTO_SECRET to that one for "
            "`tollgate vault rotate`, and give it this one as the new one",
        )
