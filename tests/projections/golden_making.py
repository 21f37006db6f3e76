"""Makes the golden log and its hashes anew, on a Postgres of its own.

    python -m tests.projections.golden_making

Only where a new type of event, or a read model that is meant to have other rows, makes it
necessary.
"""

import shutil
from typing import Any

import msgspec
import psycopg

from ledger.pricing import Multiplier
from ledger.store.append import adapt
from ledger.store.reader import RECORDED_COLUMNS
from ledger.streams import account, api_key, group, setting
from ledger.streams.charge import rules as charge
from ledger.streams.registry import EVENT_OF_TOPIC
from tests.builders import LawfulLog
from tests.projections.golden import EVENTS, FIXTURES, FOLDED, HASHES, LOG, GoldenEvent, hashes
from tests.servers import make_data_directory, migrated_database
from tollgate.embedded.postgres import EmbeddedPostgres


def _grow(connection: psycopg.Connection[Any]) -> None:
    """Some of everything: what is rare is done on purpose."""
    log = LawfulLog(connection, seed=2_026, accounts=4)
    log.grow(80, batch_groups=4)
    payer = log.accounts[2]
    key = log.keys[payer][0]
    limits = account.SpendingLimits(overdraft_nanos=1, day_nanos=10**16)
    for stream_id, command in (
        (payer, account.SetLimits(limits, "partner", "root", "asked for")),
        (payer, account.Suspend("root", "late")),
        (payer, account.Resume("root")),
        (key, api_key.Change(api_key.KeyTerms(limit_nanos=None), "root", "raised")),
        (key, api_key.Revoke("root", "leaked")),
        (
            setting.setting_stream_id("book.time_zone"),
            setting.ChangeSetting("book.time_zone", "Asia/Kolkata", "root"),
        ),
        (group.group_stream_id("vip"), group.SetGroup("vip", Multiplier(1, 3), "root")),
        *((each, charge.Refund("node_lost", "n1", log._boot)) for each in log._open_list[:2]),
    ):
        log.carry_out({stream_id: command})
    log.carry_out(dict(log._adjust(each) for each in log._closed[:6]))
    while log.stored < EVENTS:
        log.grow(10, batch_groups=4)


def _read(connection: psycopg.Connection[Any]) -> list[GoldenEvent]:
    adapt(connection)
    connection.execute("set time zone 'UTC'")
    rows = connection.execute(
        f"select {RECORDED_COLUMNS}, leaf from ledger.event where position <= %b order by position",
        (EVENTS,),
        binary=True,
    ).fetchall()
    return [
        GoldenEvent(
            position, stream_id, version, topic, at, account, seq, state.decode(), leaf.hex()
        )
        for position, stream_id, version, topic, state, at, account, seq, leaf in rows
    ]


def main() -> None:
    """Make the log and its hashes anew."""
    directory = make_data_directory()
    server = EmbeddedPostgres(directory)
    server.start()
    try:
        with (
            migrated_database(server) as database,
            psycopg.connect(database.app_dsn, autocommit=True) as connection,
        ):
            _grow(connection)
            events = _read(connection)
    finally:
        server.stop()
        shutil.rmtree(directory.root.parent)
    missing = set(EVENT_OF_TOPIC) - {event.topic for event in events}
    assert not missing, f"the log has no {missing}"
    FIXTURES.mkdir(exist_ok=True)
    LOG.write_bytes(b"".join(msgspec.json.encode(event) + b"\n" for event in events))
    found = hashes([event.recorded() for event in events], FOLDED, batch=EVENTS)
    HASHES.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n")


if __name__ == "__main__":
    main()
