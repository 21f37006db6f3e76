"""The hash of a stored event: the same in Python, in the database, and in every release."""

from uuid import UUID

from ledger.ids import entity_id
from ledger.leaf import leaf
from ledger.pricing import Multiplier
from ledger.store.append import NewEvent
from ledger.streams.group import GroupSet
from tests.ledger.building import Call, credit, payer, reserve
from tests.ledger.store.appending import connect, kept, stored
from tests.servers import FreshDatabase

STREAM = UUID("01890000-0000-7000-8000-000000000001")
ACCOUNT = UUID("00000000-0000-5000-8000-000000000002")
STATE = b'{"account_id":"00000000-0000-5000-8000-000000000002"}'


def test_the_golden_vectors_of_every_release() -> None:
    opened = leaf(
        1, STREAM, 1, 1_700_000_000_123_456, (ACCOUNT, 1), ("account.AccountOpened.v1", STATE)
    )
    assert opened == bytes.fromhex(
        "418a9256d26b48f59648603eaa62be046ad19c2360010408e576a05ad9b8d406"
    )
    without_account = leaf(2**40, STREAM, 2, 0, None, ("é", b""))
    assert (
        without_account.hex() == "85584038259cb60f4a249b832be471915f05a681956486f7e32c1981ea49a3a7"
    )


def test_the_database_computes_the_same(ledger_database: FreshDatabase) -> None:
    with connect(ledger_database.app_dsn) as connection:
        paying = payer()
        stored(connection, [credit(paying.account_id, 10)])
        stored(connection, Call().next(reserve(paying.cover(), 10)))
        named = GroupSet(name="grüße ☃ \\ ' \"", multiplier=Multiplier(), actor="a")
        stored(connection, [NewEvent(entity_id(), 1, named)])
        rows = kept(connection)
    assert len(rows) == 3
    for row in rows:
        assert row.leaf == row.expected_leaf()


def test_each_field_counts() -> None:
    event = ("topic", b"state")
    leaves = {
        leaf(1, STREAM, 1, 1, (ACCOUNT, 1), event),
        leaf(2, STREAM, 1, 1, (ACCOUNT, 1), event),
        leaf(1, ACCOUNT, 1, 1, (ACCOUNT, 1), event),
        leaf(1, STREAM, 2, 1, (ACCOUNT, 1), event),
        leaf(1, STREAM, 1, 2, (ACCOUNT, 1), event),
        leaf(1, STREAM, 1, 1, (STREAM, 1), event),
        leaf(1, STREAM, 1, 1, (ACCOUNT, 2), event),
        leaf(1, STREAM, 1, 1, None, event),
        leaf(1, STREAM, 1, 1, (ACCOUNT, 1), ("topics", b"tate")),
        leaf(1, STREAM, 1, 1, (ACCOUNT, 1), ("topic", b"stat3")),
    }
    assert len(leaves) == 10
