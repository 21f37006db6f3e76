"""Are the reasons still there that somebody gave for credits and adjustments? The log has the
SHA-256 of each request, its reason included; the words lie in the vault, and must be those.

Of prices the log has such a digest as well, but not all that it is of: nobody can say whether words
belong to it, or whether there were any.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, cast
from uuid import UUID

import msgspec
import psycopg
from psycopg import IsolationLevel

from admin_api.adjustments.operations import reason_row as adjustment_reason_row
from admin_api.adjustments.operations import sha256_of
from admin_api.credits.operations import Kind, NewCredit, request_sha256
from admin_api.credits.operations import reason_row as credit_reason_row
from ledger.errors import UnknownTopic, VaultRefused
from ledger.fsck import FINDINGS_PER_CHECK, Finding, at_most
from ledger.store.append import adapt
from ledger.store.reader import RECORDED_COLUMNS, Recorded, recorded
from ledger.streams.adjustment import AdjustmentProposed, AdjustmentRejected
from ledger.streams.credit import CreditGranted, clearing
from ledger.streams.restore import BackupRestored
from ledger.streams.user import SubjectErased
from ledger.vault import ANOTHER_SECRET, OWN_KEY, Place, Vault

_CHECK = "reason"
_EVENTS_AT_ONCE = 2_000
_TOPICS = [each.TOPIC for each in (CreditGranted, AdjustmentProposed, AdjustmentRejected)]
_EVENTS = f"select {RECORDED_COLUMNS} from ledger.event where topic = any(%b) order by position"  # noqa: S608
_GONE = f"select {RECORDED_COLUMNS} from ledger.event where topic = any(%b)"  # noqa: S608
_CELLS = (
    "select row_id, kind, field, subject, wrapped, sealed from vault.cell "
    "join vault.data_key using (subject) where row_id = any(%b)"
)
_SHA256 = re.compile(r"[0-9a-f]{64}")


class _Words(NamedTuple):
    """Words that must be in the vault, and the requests that they may be part of."""

    event: Recorded
    place: Place
    sha256: str


class _Gone(NamedTuple):
    """Whose words are rightly not there, and up to where nobody's are."""

    erased: set[UUID]
    up_to_position: int


def check_reasons(dsn: str, vault: Vault) -> Iterator[Finding]:
    """Reasons that are missing, unreadable or others than were given.

    Of subjects that were erased nothing is to be found, and that is right; nor of what came from a
    backup that was restored without its vault.
    """
    yield from at_most(FINDINGS_PER_CHECK, _findings(dsn, vault))


def _findings(dsn: str, vault: Vault) -> Iterator[Finding]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("set time zone 'UTC'")
        adapt(connection)
        own = connection.execute(
            "select wrapped from vault.data_key where subject = %b", (OWN_KEY,), binary=True
        ).fetchone()
        if own is not None and not vault.holds(own[0], OWN_KEY):
            yield Finding(_CHECK, None, "vault", f"none can be read: {ANOTHER_SECRET}")
            return
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        with connection.transaction(), connection.cursor("reasons", binary=True) as cursor:
            gone = _gone(connection)
            cursor.execute(_EVENTS, (_TOPICS,))
            subjects: dict[UUID, UUID] = {}
            while rows := cursor.fetchmany(_EVENTS_AT_ONCE):
                yield from _missing(connection, vault, list(_words(rows, subjects)), gone)


def _gone(connection: psycopg.Connection[Any]) -> _Gone:
    topics = [SubjectErased.TOPIC, BackupRestored.TOPIC]
    rows = connection.execute(_GONE, (topics,), binary=True).fetchall()
    events = [each.event for each in _decoded(rows)]
    return _Gone(
        {each.user_id for each in events if isinstance(each, SubjectErased)},
        max(
            (
                each.up_to_position
                for each in events
                if isinstance(each, BackupRestored) and not each.has_vault
            ),
            default=0,
        ),
    )


def _missing(
    connection: psycopg.Connection[Any], vault: Vault, wanted: Sequence[_Words], gone: _Gone
) -> Iterator[Finding]:
    row_ids = [each.place.row_id for each in wanted]
    cells = {
        Place(kind, row_id, field, subject): (bytes(wrapped), bytes(sealed))
        for row_id, kind, field, subject, wrapped, sealed in connection.execute(
            _CELLS, (row_ids,), binary=True
        )
    }
    for each in wanted:
        cell = cells.get(each.place)
        if cell is None:
            if each.place.subject in gone.erased or each.event.position <= gone.up_to_position:
                continue
            message = f"the {each.place.field} is not in the vault"
        else:
            told = _opened(vault, each.place, *cell)
            if told is not None and each.sha256 in _digests(each.event, told):
                continue
            message = f"the {each.place.field} in the vault is not the one that was given"
        yield Finding(_CHECK, each.event.position, str(each.event.stream_id), message)


def _opened(vault: Vault, place: Place, wrapped: bytes, sealed: bytes) -> str | None:
    try:
        return vault.open(wrapped, place, sealed)
    except VaultRefused:
        return None


def _words(rows: Sequence[Sequence[Any]], subjects: dict[UUID, UUID]) -> Iterator[_Words]:
    """What was asked for at the desk: anything else has no SHA-256 for its request. A credit that
    was proposed has its reason in the proposal. `subjects`: whose the words about an adjustment
    are, which its proposal alone says.
    """
    for one in _decoded(rows):
        event, stream_id = one.event, one.stream_id
        match event:
            case CreditGranted(proposal=None, request_sha256=sha256, account_id=account_id):
                row = credit_reason_row(stream_id, sha256)
                place = Place("credit", row, "reason", account_id)
            case AdjustmentProposed(request_sha256=sha256, account_id=proposed_for):
                subjects[stream_id] = proposed_for or stream_id
                row = adjustment_reason_row(stream_id, sha256)
                place = Place("adjustment", row, "reason", subjects[stream_id])
            case AdjustmentRejected(request_sha256=sha256):
                row = adjustment_reason_row(stream_id, sha256)
                subject = subjects.get(stream_id, stream_id)
                place = Place("adjustment", row, "rejection", subject)
            case _:
                continue
        if _SHA256.fullmatch(sha256):
            yield _Words(one, place, sha256)


def _decoded(rows: Sequence[Sequence[Any]]) -> Iterator[Recorded]:
    for row in rows:
        try:
            yield recorded(row)
        except (UnknownTopic, msgspec.MsgspecError, ValueError):
            continue  # named where the log is checked


def _digests(one: Recorded, reason: str) -> set[str]:
    """The SHA-256 of every request that this may have been, with this reason."""
    event = one.event
    if isinstance(event, CreditGranted):
        wanted = _credit(event.source, reason, event.method, event.reference)
        return {request_sha256(event.account_id, event.amount_nanos, reason, wanted)}
    if isinstance(event, AdjustmentRejected):
        return {sha256_of(event.actor, reason)}
    assert isinstance(event, AdjustmentProposed)
    code = event.reason
    if event.credit is not None:
        assert event.account_id is not None
        wanted = _credit(event.credit.source, reason, event.credit.method, event.credit.reference)
        return {request_sha256(event.account_id, event.amount_nanos, reason, wanted)}
    if event.reverses is not None:
        return {sha256_of(event.reverses.position, code, reason)}
    if event.correction is not None:
        terms = msgspec.json.encode(event.correction, order="deterministic").decode()
        return {sha256_of(terms, code, reason)}
    parts = (str(event.account_id), event.amount_nanos, code, reason)
    method = event.against.removeprefix(clearing(""))
    return {sha256_of(*parts), sha256_of(*parts, method)}


def _credit(source: str, reason: str, method: str, reference: str) -> NewCredit:
    kind = "payment" if source == "top_up" else source
    return NewCredit("", reason, cast("Kind", kind), method, reference)
