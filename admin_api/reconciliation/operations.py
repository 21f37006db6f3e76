"""Reconciliation with providers: a file in, a report that never changes out."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import msgspec

from admin_api.desk import Desk
from admin_api.errors import InvalidFile, InvalidInput, NotCaughtUp
from admin_api.fields.as_of import parse_day
from ledger import clock, ids
from ledger.errors import NotFound
from ledger.money import parse_usd
from ledger.store.reader import read_head
from ledger.streams import channel
from projections.reading import NotUpToDate, wait_for
from projections.reconciliation.contract import (
    NO_MAPPING,
    Export,
    ExportFormat,
    ExportRefused,
    MappingFile,
    MappingRefused,
    ParseOptions,
)
from projections.reconciliation.evidence import READS, Evidence, NoSuchChannel, channels_of, gather
from projections.reconciliation.exact import plain, usd_of_nanos
from projections.reconciliation.matching import Line, Outcome, Tolerance
from projections.reconciliation.registry import FORMATS
from projections.reconciliation.report import VERSION, Question, reconcile
from projections.reconciliation.storage import (
    KeptImport,
    KeptReport,
    NewReport,
    find_report,
    keep_import,
    keep_report,
    list_lines,
    list_reports,
)

BASIS_POINTS_MAX = 10_000
CHANNELS_MAX = 1_000
DAYS_MAX = 366
MAPPING_MAX_BYTES = 20_000

_PAGE_LINES = 1_000

_MAPPING = msgspec.json.Decoder(MappingFile)
_SNAPSHOT = "set transaction isolation level repeatable read"
_QUESTION_TIMEOUT = "set local statement_timeout = '10s'"


@dataclass(frozen=True, slots=True)
class Comparison:
    """What to compare a file with, as people write it. None: the default.

    since and until are days, both included; by default those of the file. Channels are those
    named, else those of `provider_type`, else those of the format's provider. `mapping` is JSON,
    see `projections.reconciliation.contract.MappingFile`.
    """

    format: str
    mapping: str | None = None
    channel_ids: Sequence[UUID] = ()
    provider_type: str | None = None
    since: str | None = None
    until: str | None = None
    tolerance_basis_points: int = 0
    tolerance_usd: str = "0"
    bytes_max: int = 64_000_000


class Given(NamedTuple):
    """A report, and whether it was made just now: the same question on the same figures is
    answered by the report that was given first.
    """

    report: KeptReport
    is_new: bool


class LinePage(NamedTuple):
    """Some lines with their numbers, and the `after` of the next page; None at the end."""

    lines: list[tuple[int, Line]]
    next_after: int | None


async def reconcile_file(desk: Desk, content: bytes, asked: Comparison, *, actor: str) -> Given:
    """Compare a provider's export with what was recorded, and keep file and report.

    Raises InvalidInput, InvalidFile, InvalidAmount, NotFound (a channel), NotCaughtUp,
    psycopg.OperationalError. Nothing is kept of what is refused.
    """
    export_format = FORMATS.get(asked.format)
    if export_format is None:
        raise InvalidInput("format", f"must be one of {', '.join(FORMATS)}")
    await _require_channels(desk, asked)
    mapping = parse_mapping(asked.mapping)
    tolerance = _tolerance(asked)
    today = (_EPOCH + timedelta(microseconds=clock.now_us())).date()
    options = ParseOptions(today=today, mapping=mapping, bytes_max=asked.bytes_max)
    # A large file takes a second or more; meanwhile others are served.
    export = await asyncio.to_thread(parse_export, export_format, content, options)
    first, last = _period(asked, export, today)
    evidence = await _evidence(desk, asked, export_format, first, last)
    question = Question(first, last, mapping.models, tolerance, today)
    report = await asyncio.to_thread(reconcile, export, evidence.ours, question)
    kept = _import(content, asked.format, mapping, actor)
    new = NewReport(
        report_id=_report_id(kept.import_id, question, evidence),
        import_id=kept.import_id,
        first_day=first,
        last_day=last,
        channel_ids=evidence.channel_ids,
        tolerance_basis_points=tolerance.basis_points,
        tolerance_usd=tolerance.usd,
        aliases=dict(mapping.models),
        as_of_position=evidence.position,
        as_of=evidence.recorded_at,
        actor=actor,
    )
    async with desk.pool.connection() as connection, connection.transaction():
        await keep_import(connection, kept, export)
        is_new = await keep_report(connection, new, report)
        found = await find_report(connection, new.report_id)
    assert found is not None
    return Given(found, is_new)


async def find_reconciliation(desk: Desk, report_id: UUID) -> KeptReport:
    """One report. Raises NotFound."""
    async with desk.reading() as connection:
        found = await find_report(connection, report_id)
    if found is None:
        raise NotFound("no such reconciliation")
    return found


async def list_reconciliations(
    desk: Desk, *, before: UUID | None, limit: int
) -> tuple[list[KeptReport], UUID | None]:
    """Reports, the newest first, and the `before` of the next page; None at the end."""
    async with desk.reading() as connection:
        found = await list_reports(connection, before=before, limit=limit + 1)
    page = found[:limit]
    return page, page[-1].report_id if len(found) > limit else None


async def lines_of(
    desk: Desk, report_id: UUID, *, outcome: Outcome | None, after: int, limit: int
) -> LinePage:
    """A page of a report's lines."""
    async with desk.reading() as connection:
        found = await list_lines(
            connection, report_id, outcome=outcome, after=after, limit=limit + 1
        )
    page = found[:limit]
    return LinePage(page, page[-1][0] if len(found) > limit else None)


async def every_line(desk: Desk, report_id: UUID) -> AsyncIterator[Line]:
    """All lines of a report, in order; a slow reader holds no connection meanwhile."""
    after: int | None = 0
    while after is not None:
        page = await lines_of(desk, report_id, outcome=None, after=after, limit=_PAGE_LINES)
        for _, line in page.lines:
            yield line
        after = page.next_after


def parse_mapping(text: str | None) -> MappingFile:
    """What an operator says about an export. Raises InvalidInput."""
    if text is None:
        return NO_MAPPING
    if len(text.encode()) > MAPPING_MAX_BYTES:
        raise InvalidInput("mapping", f"must not be longer than {MAPPING_MAX_BYTES} bytes")
    try:
        return _MAPPING.decode(text)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise InvalidInput("mapping", f"is not a mapping: {error}") from error


def parse_export(export_format: ExportFormat, content: bytes, options: ParseOptions) -> Export:
    """The figures of a file. Raises InvalidFile, InvalidInput."""
    try:
        return export_format.parse(content, options)
    except ExportRefused as refusal:
        rows = [
            (", ".join(part for part in (each.place, each.column) if part) or "file", each.message)
            for each in refusal.problems
        ]
        raise InvalidFile(rows, str(refusal)) from refusal
    except MappingRefused as refusal:
        raise InvalidInput("mapping", str(refusal)) from refusal


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


async def _require_channels(desk: Desk, asked: Comparison) -> None:
    if len(asked.channel_ids) > CHANNELS_MAX:
        raise InvalidInput("channels", f"must not name over {CHANNELS_MAX} channels")
    if asked.channel_ids and asked.provider_type:
        raise InvalidInput("provider_type", "cannot be given beside channels")
    for channel_id in asked.channel_ids:
        if (await desk.state(channel.STREAM, channel_id)).version == 0:
            raise NotFound(f"there is no channel {channel_id}")


def _tolerance(asked: Comparison) -> Tolerance:
    if not 0 <= asked.tolerance_basis_points <= BASIS_POINTS_MAX:
        raise InvalidInput("tolerance_bp", f"must lie within 0..{BASIS_POINTS_MAX}")
    usd = usd_of_nanos(parse_usd(asked.tolerance_usd))
    return Tolerance(asked.tolerance_basis_points, usd)


def _period(asked: Comparison, export: Export, today: date) -> tuple[date, date]:
    first = export.first_day if asked.since is None else parse_day("from", asked.since)
    last = export.last_day if asked.until is None else parse_day("to", asked.until)
    if last < first:
        raise InvalidInput("to", f"{last} is before {first}")
    if last > today:
        raise InvalidInput("to", f"{last} lies in the future")
    if (last - first).days >= DAYS_MAX:
        raise InvalidInput("from", f"at most {DAYS_MAX} days are compared at a time")
    return first, last


async def _evidence(
    desk: Desk, asked: Comparison, export_format: ExportFormat, first: date, last: date
) -> Evidence:
    """Our side, as it stands once the read models have caught up with the log."""
    provider_type = asked.provider_type or export_format.provider_type
    try:
        async with desk.pool.connection() as connection:
            head, _ = await read_head(connection)
            await wait_for(connection, READS, head)
        async with desk.pool.connection() as connection, connection.transaction():
            await connection.execute(_SNAPSHOT)
            await connection.execute(_QUESTION_TIMEOUT)
            chosen = await channels_of(connection, asked.channel_ids, provider_type)
            return await gather(connection, chosen, first, last)
    except NotUpToDate as behind:
        raise NotCaughtUp(str(behind)) from behind
    except NoSuchChannel as missing:
        raise NotFound(str(missing)) from missing


def _import(content: bytes, name: str, mapping: MappingFile, actor: str) -> KeptImport:
    sha256 = hashlib.sha256(content).hexdigest()
    # The names of models are a matter of comparing, not of reading.
    reading = msgspec.structs.replace(mapping, models={})
    how = msgspec.json.encode(reading, order="deterministic").decode()
    import_id = ids.derived_id("reconciliation_import", f"{sha256}:{name}:{how}")
    return KeptImport(import_id, sha256, name, reading, len(content), actor)


def _report_id(import_id: UUID, question: Question, evidence: Evidence) -> UUID:
    """The same for the same file, question and figures of ours."""
    channel_ids = evidence.channel_ids
    canonical = msgspec.json.encode(
        [
            VERSION,
            import_id,
            question.first,
            question.last,
            sorted(question.aliases.items()),
            question.tolerance.basis_points,
            plain(question.tolerance.usd),
            None if channel_ids is None else list(channel_ids),
            evidence.digest,
        ]
    )
    return ids.derived_id("reconciliation_report", hashlib.sha256(canonical).hexdigest())
