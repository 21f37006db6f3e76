"""A log made long ago folds to the states it folded to then: here, and on any machine."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from ledger.codec import encode
from ledger.leaf import leaf
from ledger.statement import fold
from ledger.streams.charge.events import QuotaReserved, RefundIssued, UsageSettled
from projections.batches import Interest
from projections.contract import PLACES, Projection
from projections.registry import PROJECTIONS
from projections.views import channels, keys
from tests.projections.golden import (
    EVENTS,
    FOLDED,
    POSITIONS,
    GoldenEvent,
    hashes,
    read_hashes,
    read_log,
    rows,
)

CHARGE_EVENTS = (QuotaReserved, UsageSettled, RefundIssued)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def log() -> list[GoldenEvent]:
    return read_log()


def test_the_log_is_what_was_committed(log: list[GoldenEvent]) -> None:
    assert [event.position for event in log] == list(range(1, EVENTS + 1))
    for event in log:
        at_us = (event.recorded_at - EPOCH) // timedelta(microseconds=1)
        account = None
        if event.account_id is not None and event.account_seq is not None:
            account = (event.account_id, event.account_seq)
        state = event.state.encode()
        expected = leaf(
            event.position,
            event.stream_id,
            event.version,
            at_us,
            account,
            (event.topic, state),
        )
        assert event.leaf == expected.hex()
        assert encode(event.recorded().event) == state


@pytest.mark.parametrize("batch", [1, 7, 64, EVENTS])
def test_its_states_are_what_they_were(log: list[GoldenEvent], batch: int) -> None:
    """However the log is cut into batches."""
    expected = read_hashes()
    assert list(expected) == [str(position) for position in POSITIONS]
    assert hashes([event.recorded() for event in log], FOLDED, batch) == expected


@pytest.mark.parametrize("batch", [1, 7, EVENTS])
@pytest.mark.parametrize("projection", PROJECTIONS, ids=lambda each: each.name)
def test_what_a_read_model_does_not_look_at_changes_none_of_its_rows(
    log: list[GoldenEvent], projection: Projection, batch: int
) -> None:
    """However the log is cut into batches."""
    whole = [event.recorded() for event in log]
    decoders = Interest([projection]).decoders
    unseen: dict[str, Any] = dict.fromkeys(PLACES - projection.uses_places)
    parts = [event.recorded(decoders)._replace(**unseen) for event in log]
    assert {event.topic for event in parts} >= {event.TOPIC for event in projection.looks_at}
    assert rows(projection, parts, batch) == rows(projection, whole, EVENTS)


def test_together_they_read_what_one_of_them_looks_at(log: list[GoldenEvent]) -> None:
    two = (keys.PROJECTION, channels.PROJECTION)
    decoders = Interest(two).decoders
    assert Interest(PROJECTIONS).decoders.keys() <= {event.TOPIC for event in CHARGE_EVENTS}
    parts = [event.recorded(decoders) for event in log]
    for projection in two:
        whole = [event.recorded() for event in log]
        assert rows(projection, parts, EVENTS) == rows(projection, whole, EVENTS)


def test_a_single_nanodollar_makes_another_state(log: list[GoldenEvent]) -> None:
    granted = next(event for event in log if event.topic == "credit.CreditGranted.v1")
    other = granted.recorded()
    amount = other.event.amount_nanos + 1  # type: ignore[attr-defined]
    changed = other._replace(event=type(other.event)(**_fields(other.event, amount_nanos=amount)))
    events = [changed if one.position == granted.position else one.recorded() for one in log]
    found, expected = hashes(events, FOLDED, EVENTS), read_hashes()
    for name in ("budgets", "accounts.accounts", "journal_blocks.journal_blocks"):
        assert found[str(EVENTS)][name] != expected[str(EVENTS)][name]


def test_its_accounts_add_up(log: list[GoldenEvent]) -> None:
    events = [event.recorded() for event in log]
    accounts: set[UUID] = {one.account_id for one in events if one.account_id is not None}
    standings = [fold(one for one in events if one.account_id == each) for each in accounts]
    assert len(standings) == 4
    for standing in standings:
        assert standing.held_nanos >= 0
        assert standing.posted_nanos == (
            standing.credited_nanos - standing.charged_nanos + standing.adjusted_nanos
        )


def _fields(event: object, **changes: object) -> dict[str, object]:
    names = event.__struct_fields__  # type: ignore[attr-defined]
    return {name: getattr(event, name) for name in names} | changes
