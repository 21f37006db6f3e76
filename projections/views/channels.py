"""Channels: where each leads, whether it takes calls, and how its attempts went."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec.structs import replace

from ledger.store.reader import Recorded
from ledger.streams.channel import (
    ChannelAdded,
    ChannelChanged,
    ChannelKeyStateChanged,
    ChannelPaused,
    ChannelRemoved,
    ChannelResumed,
)
from ledger.streams.charge.events import RefundIssued, UsageSettled
from ledger.streams.routes import Route
from projections.contract import Json, Key, Projection, Row, Table, document, members, one_by_one

_ROUTED = (ChannelAdded, ChannelChanged)
_CONFIGURED = (
    *_ROUTED,
    ChannelPaused,
    ChannelResumed,
    ChannelKeyStateChanged,
    ChannelRemoved,
)
_NOTHING = Json("[]")
_KEY_IDS = msgspec.json.Decoder(list[str])


class ChannelRow(Row, frozen=True):
    """One channel. state: active, paused or removed; `reason` says why it is in it.

    Attempts count when the call they belong to is closed: `answered` by this channel, or
    `failed`, whatever way. `position` is that of the last change of the channel itself.
    """

    channel_id: UUID
    type: str = ""
    base_url: str = ""
    models: Json = Json("{}")
    groups: Json = _NOTHING
    priority: int = 0
    weight: int = 0
    key_ids: Json = _NOTHING
    unusable_key_ids: Json = _NOTHING
    state: str = "active"
    reason: str = ""
    added_at: datetime | None = None
    position: int = 0
    answered: int = 0
    failed: int = 0
    charged_nanos: int = 0
    shortfall_nanos: int = 0


def touches(event: Recorded) -> tuple[Key, ...]:
    """The channel, or all channels that a call was tried at."""
    match event.event:
        case UsageSettled(attempts=attempts, channel_id=channel_id):
            if not attempts or (len(attempts) == 1 and attempts[0].channel_id == channel_id):
                return ((channel_id,),)
            ids = dict.fromkeys([channel_id, *(each.channel_id for each in attempts)])
            return tuple((each,) for each in ids)
        case RefundIssued(attempts=attempts):
            return tuple((each,) for each in dict.fromkeys(a.channel_id for a in attempts))
        case configured:
            return ((configured.channel_id,),)  # type: ignore[attr-defined]  # all others have one


def apply(key: Key, row: ChannelRow | None, event: Recorded) -> ChannelRow:
    """What became of attempts, or of the channel itself."""
    channel_id = key[0]
    assert isinstance(channel_id, UUID)
    row = row or ChannelRow(channel_id)
    if isinstance(event.event, UsageSettled | RefundIssued):
        return _tried(row, event.event)
    return replace(row, position=event.position, **_configured(row, event))


def _tried(row: ChannelRow, closing: UsageSettled | RefundIssued) -> ChannelRow:
    answered, failed = row.answered, row.failed
    for attempt in closing.attempts:
        if attempt.channel_id != row.channel_id:
            continue
        if attempt.outcome == "answered":
            answered += 1
        else:
            failed += 1
    if not isinstance(closing, UsageSettled) or closing.channel_id != row.channel_id:
        return replace(row, answered=answered, failed=failed)
    return replace(
        row,
        answered=answered,
        failed=failed,
        charged_nanos=row.charged_nanos + closing.charged_nanos,
        shortfall_nanos=row.shortfall_nanos + closing.shortfall_nanos,
    )


def _configured(row: ChannelRow, event: Recorded) -> dict[str, Any]:
    match event.event:
        case ChannelAdded(route=route):
            return {"state": "active", "added_at": event.recorded_at, **_routed(row, route)}
        case ChannelChanged(route=route):
            return _routed(row, route)
        case ChannelPaused(reason=reason):
            return {"state": "paused", "reason": reason}
        case ChannelResumed():
            return {"state": "active", "reason": ""}
        case ChannelRemoved(reason=reason):
            return {"state": "removed", "reason": reason}
        case ChannelKeyStateChanged(key_id=key_id, state=state):
            unusable = set(_KEY_IDS.decode(row.unusable_key_ids)) - {str(key_id)}
            if state != "usable":
                unusable.add(str(key_id))
            return {"unusable_key_ids": document(sorted(unusable))}
        case _:
            return {}


def _routed(row: ChannelRow, route: Route) -> dict[str, Any]:
    kept = set(_KEY_IDS.decode(row.unusable_key_ids)) & {str(each) for each in route.key_ids}
    return {
        "type": route.type,
        "base_url": route.base_url,
        "models": document(route.models),
        "groups": document(route.groups),
        "priority": route.priority,
        "weight": route.weight,
        "key_ids": document(route.key_ids),
        "unusable_key_ids": document(sorted(kept)),
    }


TABLE = Table(
    name="channels",
    row=ChannelRow,
    key=("channel_id",),
    events=(*_CONFIGURED, UsageSettled, RefundIssued),
    touches=touches,
    fold=one_by_one(apply),
)
PROJECTION = Projection(
    name="channels",
    version=2,
    tables=(TABLE,),
    looks_at={
        UsageSettled: members("channel_id attempts charged_nanos shortfall_nanos"),
        RefundIssued: members("attempts"),
    },
    uses_places=members("recorded_at"),
)
