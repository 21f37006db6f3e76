"""The words behind acts: what was written down about a credit, an adjustment or a price is in the
vault, and the event has only what names it.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection

from admin_api.adjustments.operations import REASON_KIND, reason_row
from admin_api.credits import operations as credits_
from admin_api.prices.operations import decisions
from ledger import vault
from ledger.store.reader import RECORDED_COLUMNS, Recorded, recorded
from ledger.streams.adjustment import AdjustmentProposed, AdjustmentRejected
from ledger.streams.credit import CreditGranted
from ledger.streams.price import PriceSet
from ledger.streams.restore import BackupRestored
from ledger.vault import Vault

_TOLD = frozenset(
    {
        CreditGranted.TOPIC,
        AdjustmentProposed.TOPIC,
        AdjustmentRejected.TOPIC,
        PriceSet.TOPIC,
        BackupRestored.TOPIC,
    }
)

_EVENTS = f"select {RECORDED_COLUMNS} from ledger.event where position = any(%s)"  # noqa: S608


class _Cell(NamedTuple):
    kind: str
    field: str
    row_id: UUID


async def read_words(
    connection: AsyncConnection[Any], sealed: Vault, acts: Sequence[tuple[int, str]]
) -> dict[int, str]:
    """What there is to read about some acts, by their positions; `acts` are positions and topics.

    Of a restore it says what was restored. What was erased is left out.
    """
    positions = [position for position, topic in acts if topic in _TOLD]
    cursor = await connection.execute(_EVENTS.encode(), (positions,), binary=True)
    events = [recorded(row) for row in await cursor.fetchall()]
    texts = await _texts(connection, sealed, [cell for one in events for cell in _cells(one)])
    words = {}
    for one in events:
        written = [texts[cell] for cell in _cells(one) if cell in texts]
        words[one.position] = written[0] if written else _restored(one.event)
    return {position: text for position, text in words.items() if text}


async def _texts(
    connection: AsyncConnection[Any], sealed: Vault, cells: Sequence[_Cell]
) -> dict[_Cell, str]:
    wanted: dict[tuple[str, str], list[UUID]] = defaultdict(list)
    for cell in cells:
        wanted[cell.kind, cell.field].append(cell.row_id)
    return {
        _Cell(kind, field, row): text
        for (kind, field), rows in wanted.items()
        for row, text in (await vault.tell_many(connection, sealed, kind, field, rows)).items()
    }


def _cells(one: Recorded) -> list[_Cell]:
    """Where the words may be, the likeliest first."""
    match one.event:
        case CreditGranted(request_sha256=digest, proposal=proposal):
            own = _Cell(credits_.REASON_KIND, "reason", credits_.reason_row(one.stream_id, digest))
            if proposal is None:
                return [own]
            return [_Cell(REASON_KIND, "reason", reason_row(proposal, digest)), own]
        case AdjustmentProposed(request_sha256=digest):
            return [_Cell(REASON_KIND, "reason", reason_row(one.stream_id, digest))]
        case AdjustmentRejected(request_sha256=digest):
            return [_Cell(REASON_KIND, "rejection", reason_row(one.stream_id, digest))]
        case PriceSet(decision=decision) if decision is not None:
            return [_Cell(decisions.REASON_KIND, "reason", decisions.reason_row(decision))]
        case _:
            return []


def _restored(event: object) -> str:
    if not isinstance(event, BackupRestored):
        return ""
    vault_ = "" if event.has_vault else ", without its vault"
    return (
        f"up to position {event.up_to_position} from a backup of {event.taken_at} by "
        f"{event.made_by}{vault_}, SHA-256 {event.sha256}"
    )
