"""The line in the program's log for every alarm, written by who stored the event."""

from collections.abc import Sequence
from uuid import UUID

import structlog

from ledger.alarms import alarms
from ledger.streams.contract import Event

log = structlog.get_logger()


def tell_alarms(charge_id: UUID, events: Sequence[Event]) -> None:
    """A line for each alarm of events of a charge that were stored just now."""
    for event in events:
        for kind, amount_nanos, channel_id in alarms(event):
            log.error(
                "alarm",
                kind=kind,
                id=str(charge_id),
                amount_nanos=amount_nanos,
                channel=None if channel_id is None else str(channel_id),
            )
