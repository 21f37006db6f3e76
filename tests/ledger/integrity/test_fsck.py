"""fsck on real Postgres as its superuser: whatever is changed behind a seal is named."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import psycopg
import pytest

from ledger.fsck import Finding, check_ledger
from ledger.integrity.checkpoint import origin_of
from ledger.integrity.entry import ENTRY_COLUMNS, Entry, entry_of
from ledger.integrity.fsck import check_integrity
from ledger.integrity.merkle import Frontier
from ledger.integrity.note import SigningKey, encode64
from ledger.integrity.sealing import Sealer
from ledger.streams.seal import CheckpointSealed
from tests.builders import LawfulLog
from tests.ledger.integrity.sealed_logs import SealedLog
from tests.servers import FreshDatabase

Superuser = psycopg.Connection[Any]


@contextmanager
def superuser(log: SealedLog) -> Iterator[Superuser]:
    """Somebody who may do everything, and does; the guards are back afterwards."""
    with psycopg.connect(log.database.owner_dsn, autocommit=True) as connection:
        for table in ("event", "tile"):
            connection.execute(f"alter table ledger.{table} disable trigger user")
        yield connection
        for table in ("event", "tile"):
            for trigger in ("append_only", "never_truncated"):
                connection.execute(f"alter table ledger.{table} enable always trigger {trigger}")


def found(log: SealedLog) -> list[Finding]:
    dsn = log.database.app_dsn
    return [*check_ledger(dsn), *check_integrity(dsn, log.folder)]


def first_bad(log: SealedLog) -> int | None:
    positions = [each.position for each in found(log) if each.position is not None]
    return min(positions, default=None)


def checks(log: SealedLog) -> set[str]:
    return {each.check for each in found(log)}


def entry(connection: Superuser, position: int) -> Entry:
    row = connection.execute(
        f"select {ENTRY_COLUMNS} from ledger.event where position = %s", (position,), binary=True
    ).fetchone()
    assert row is not None
    return entry_of(row)


def fitting_leaf(connection: Superuser, position: int) -> bytes:
    """Make the leaf column fit what the row says now: no hash of its own gives it away."""
    leaf = entry(connection, position).leaf()
    connection.execute("update ledger.event set leaf = %s where position = %s", (leaf, position))
    return leaf


def test_a_sealed_log_is_clean_as_each_role_and_with_the_signer(sealed_log: SealedLog) -> None:
    assert found(sealed_log) == []
    assert list(check_integrity(sealed_log.database.owner_dsn)) == []
    sealed_log.log.grow(300)
    assert found(sealed_log) == []


def test_lawful_logs_of_the_other_tests_are_clean(ledger_database: FreshDatabase) -> None:
    with psycopg.connect(ledger_database.app_dsn, autocommit=True) as connection:
        for seed in (1, 2):
            log = LawfulLog(connection, seed=seed)
            log.grow(300)
            log.grow(300)
    assert list(check_integrity(ledger_database.app_dsn)) == []


def test_each_bit_of_an_event_counts(sealed_log: SealedLog) -> None:
    """Every byte of a small event, one bit of it turned; and what a re-hashed one leaves behind."""
    with superuser(sealed_log) as connection:
        position = smallest(connection)
        state = entry(connection, position).state
        for place in range(len(state)):
            turned = bytearray(state)
            turned[place] ^= 1 << place % 8
            connection.execute(
                "update ledger.event set state = %s where position = %s",
                (bytes(turned), position),
            )
            fitting_leaf(connection, position)
            told = list(check_integrity(sealed_log.database.app_dsn))
            assert {(each.check, each.position) for each in told} >= {("tile", position)}
            assert min(each.position for each in told if each.position) == position
        connection.execute(
            "update ledger.event set state = %s where position = %s", (state, position)
        )
        fitting_leaf(connection, position)
    assert found(sealed_log) == []


def smallest(connection: Superuser) -> int:
    row = connection.execute(
        "select position from ledger.event where position < 200 "
        "order by octet_length(state), position limit 1"
    ).fetchone()
    assert row is not None
    return int(row[0])


CHANGES: list[tuple[str, int, Callable[[Superuser], object]]] = [
    (
        "another amount under a hash that fits",
        60,
        lambda c: (
            c.execute("update ledger.event set state = state || ' ' where position = 60"),
            fitting_leaf(c, 60),
        ),
    ),
    (
        "another time under a hash that fits",
        61,
        lambda c: (
            c.execute(
                "update ledger.event set recorded_at = recorded_at + '1us' where position = 61"
            ),
            fitting_leaf(c, 61),
        ),
    ),
    ("one is gone", 70, lambda c: c.execute("delete from ledger.event where position = 70")),
    (
        "two are swapped",
        80,
        lambda c: (
            c.execute("update ledger.event set position = -1 where position = 80"),
            c.execute("update ledger.event set position = 80 where position = 81"),
            c.execute("update ledger.event set position = 81 where position = -1"),
            fitting_leaf(c, 80),
            fitting_leaf(c, 81),
        ),
    ),
    (
        "one is there twice, in another's place",
        91,
        lambda c: (
            c.execute("delete from ledger.event where position = 91"),
            c.execute(
                "insert into ledger.event (originator_id, originator_version, topic, state, "
                "position, recorded_at, account_id, account_seq, leaf) select gen_random_uuid(), "
                "1, 'group.GroupSet.v1', state, 91, recorded_at, null, null, leaf "
                "from ledger.event where position = 90"
            ),
            fitting_leaf(c, 91),
        ),
    ),
]


@pytest.mark.parametrize(
    ("position", "change"), [each[1:] for each in CHANGES], ids=[each[0] for each in CHANGES]
)
def test_what_was_changed_is_named(
    sealed_log: SealedLog, position: int, change: Callable[[Superuser], object]
) -> None:
    with superuser(sealed_log) as connection:
        change(connection)
    told = list(check_integrity(sealed_log.database.app_dsn))
    assert min(each.position for each in told if each.position) == position
    assert first_bad(sealed_log) == position
    assert {"tile", "seal"} <= {each.check for each in told}


def test_a_change_of_event_and_tiles_together_still_breaks_the_seal(sealed_log: SealedLog) -> None:
    sizes = sealed_sizes(sealed_log)
    with superuser(sealed_log) as connection:
        position = sizes[0] + 40
        connection.execute(
            "update ledger.event set state = state || ' ' where position = %s", (position,)
        )
        fitting_leaf(connection, position)
        connection.execute("delete from ledger.tile")
        connection.execute("select ledger.extend_tiles(%s, 1000)", (sizes[-1],))
    told = found(sealed_log)
    (seal,) = [each for each in told if each.check == "seal"]
    assert seal.scope == f"positions {sizes[0] + 1} to {sizes[1]}"
    assert seal.position == sizes[0] + 1 <= position
    assert "signer" in {each.check for each in told}


def test_a_rewritten_history_under_an_attackers_key_contradicts_the_signer(
    sealed_log: SealedLog,
) -> None:
    """Everything in the database is made anew and fits; only the signer's file does not."""
    with superuser(sealed_log) as connection:
        rewrite_everything(sealed_log, connection)
    told = found(sealed_log)
    assert {each.check for each in told} == {"signer"}
    assert f"at size {sealed_sizes(sealed_log)[-1]}" in told[0].message
    assert list(check_integrity(sealed_log.database.app_dsn)) == []


def rewrite_everything(log: SealedLog, connection: Superuser) -> None:
    """Change an event, then the tiles, the key and all the seals so that all of it fits."""
    first = entry(connection, 50)
    connection.execute(
        "update ledger.event set recorded_at = (select recorded_at from ledger.event "
        "where position = 51) where position = 50"
    )
    if entry(connection, 50).recorded_at_us == first.recorded_at_us:
        connection.execute(
            "update ledger.event set recorded_at = (select recorded_at from ledger.event "
            "where position = 2) where position = 1"
        )
    for position in (1, 50):
        fitting_leaf(connection, position)
    (first_leaf,) = connection.execute(
        "select leaf from ledger.event where position = 1"
    ).fetchone() or (b"",)
    key = SigningKey(origin_of(first_leaf), b"an attacker's seed, of 32 bytes!")
    frontier, roots = Frontier(), dict[int, bytes]()
    rows = connection.execute(
        f"select {ENTRY_COLUMNS} from ledger.event order by position", binary=True
    ).fetchall()
    for one in map(entry_of, rows):
        if one.topic.startswith("seal."):
            event = msgspec.json.decode(one.state)
            event["verifier"] = str(key.verifier)
            if one.topic == CheckpointSealed.TOPIC:
                root = roots[event["size"]]
                event["root"] = encode64(root)
                text = f"{key.verifier.name}\n{event['size']}\n{event['root']}\n"
                event["note"] = key.sign(text)
            connection.execute(
                "update ledger.event set state = %s where position = %s",
                (msgspec.json.encode(event, order="deterministic"), one.position),
            )
            fitting_leaf(connection, one.position)
        frontier.append(entry(connection, one.position).leaf())
        roots[one.position] = frontier.root()
    connection.execute("delete from ledger.tile")
    connection.execute("select ledger.extend_tiles(%s, 1000)", (sealed_sizes(log)[-1],))


def sealed_sizes(log: SealedLog) -> list[int]:
    rows = log.connection.execute(
        "select state from ledger.event where topic = %s order by position",
        (CheckpointSealed.TOPIC,),
    ).fetchall()
    return [msgspec.json.decode(row[0])["size"] for row in rows]


def cut_off(connection: Superuser, last: int) -> None:
    """What a restored older copy looks like: everything after a position never happened."""
    connection.execute("delete from ledger.event where position > %s", (last,))
    connection.execute(
        "delete from ledger.tile where level > 0 or (number + 1) * 256 > %s", (last,)
    )
    connection.execute("update ledger.head set position = %s", (last,))


def test_a_truncated_tail_and_an_older_copy_are_told_by_the_signers_own_file(
    sealed_log: SealedLog,
) -> None:
    sizes = sealed_sizes(sealed_log)
    for last in (sizes[-1] - 5, sizes[1] + 5):  # a few events are missing; a copy of long ago
        with superuser(sealed_log) as connection:
            cut_off(connection, last)
        told = list(check_integrity(sealed_log.database.app_dsn, sealed_log.folder))
        assert [(each.check, each.position) for each in told] == [("signer", last + 1)]
        assert f"signed {sizes[-1]} events" in told[0].message
        # And the signer signs nothing of it, however it grows.
        with pytest.raises(Exception, match=r"cut off|does not continue"):
            sealed_log.seal()


def test_a_fork_of_the_log_is_never_signed(sealed_log: SealedLog) -> None:
    sizes = sealed_sizes(sealed_log)
    with superuser(sealed_log) as connection:
        cut_off(connection, sizes[1] + 1)
        connection.execute("delete from ledger.budget")
    other = LawfulLog(sealed_log.connection, seed=99, is_sealed=False)
    other.grow(1_000)
    assert sealed_log.head > sizes[-1]

    async def attempts(sealer: Sealer) -> str:
        with pytest.raises(Exception, match="does not continue") as refused:
            await sealer.seal()
        return str(refused.value)

    assert str(sizes[-1]) in sealed_log.with_sealer(attempts)
    told = list(check_integrity(sealed_log.database.app_dsn, sealed_log.folder))
    assert {each.check for each in told} == {"signer"}


def test_a_forged_seal_and_a_signature_of_nobody_are_named(sealed_log: SealedLog) -> None:
    positions = [
        row[0]
        for row in sealed_log.connection.execute(
            "select position from ledger.event where topic = %s order by 1",
            (CheckpointSealed.TOPIC,),
        ).fetchall()
    ]
    with superuser(sealed_log) as connection:
        state = entry(connection, positions[1]).state
        event = msgspec.json.decode(state)
        event["root"] = encode64(bytes(32))
        connection.execute(
            "update ledger.event set state = %s where position = %s",
            (msgspec.json.encode(event, order="deterministic"), positions[1]),
        )
        fitting_leaf(connection, positions[1])
    told = list(check_integrity(sealed_log.database.app_dsn))
    assert ("seal", positions[1], "its note says something else") in {
        (each.check, each.position, each.message) for each in told
    }
    with superuser(sealed_log) as connection:
        event["root"] = msgspec.json.decode(state)["root"]
        event["note"] = event["note"][:-20] + "A" * 16 + event["note"][-4:]
        connection.execute(
            "update ledger.event set state = %s where position = %s",
            (msgspec.json.encode(event, order="deterministic"), positions[1]),
        )
        fitting_leaf(connection, positions[1])
    told = list(check_integrity(sealed_log.database.app_dsn))
    assert any(each.position == positions[1] and "signature" in each.message for each in told)


def test_a_signers_memory_that_cannot_be_read_is_told(sealed_log: SealedLog) -> None:
    (sealed_log.folder / "last.json").write_text("{")
    assert checks(sealed_log) == {"signer"}


def test_an_erased_subject_leaves_the_log_provable(sealed_log: SealedLog) -> None:
    """Names lie in the vault; forgetting one changes no event, so every proof holds."""
    connection = sealed_log.connection
    connection.execute("insert into vault.data_key values (%s, 'x')", (sealed_log.log.accounts[0],))
    before = sealed_log.leaves()
    connection.execute("delete from vault.data_key")
    assert sealed_log.leaves() == before
    assert found(sealed_log) == []
