"""Where imports and reports are kept. Both are written once, whole, and never changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, LiteralString
from uuid import UUID

import msgspec
from psycopg import AsyncConnection

from projections.reconciliation.contract import Export, MappingFile
from projections.reconciliation.exact import plain
from projections.reconciliation.matching import Figures, Line, Outcome
from projections.reconciliation.report import Report, Summary

_SUMMARY = msgspec.json.Decoder(Summary)
_MAPPING = msgspec.json.Encoder(order="deterministic")

_KEEP_IMPORT = """
    insert into operations.reconciliation_import
        (id, sha256, format, mapping, size_bytes, covers, entries, first_day, last_day, actor)
    values (%s, %s, %s, %s::jsonb, %s, %s, %s, %s, %s, %s) on conflict do nothing
"""
_COPY_ENTRIES = """
    copy operations.reconciliation_import_entry
        (import_id, number, place, day, model, unit, units, amount_usd) from stdin
"""
_KEEP_REPORT = """
    insert into operations.reconciliation_report
        (id, import_id, first_day, last_day, channel_ids, tolerance_basis_points, tolerance_usd,
         aliases, as_of_position, as_of, summary, lines, actor)
    values (%s, %s, %s, %s, %s, %s, %s, %s::jsonb, %s, %s, %s::jsonb, %s, %s)
    on conflict do nothing
"""
_COPY_LINES = """
    copy operations.reconciliation_report_line
        (report_id, number, day, model, unit, outcome, their_models,
         their_units, our_units, their_usd, our_usd) from stdin
"""
_REPORTS: LiteralString = """
    select r.id, r.import_id, i.sha256, i.format, i.size_bytes, i.entries, r.first_day,
        r.last_day, r.channel_ids, r.tolerance_basis_points, r.tolerance_usd, r.aliases::text,
        r.as_of_position, r.as_of, r.summary::text, r.lines, r.actor, r.made_at
    from operations.reconciliation_report r
    join operations.reconciliation_import i on i.id = r.import_id
"""
_LINES = """
    select number, day, model, unit, outcome, their_models, their_units, our_units, their_usd,
        our_usd
    from operations.reconciliation_report_line
    where report_id = %s and number > %s and (%s::text is null or outcome = %s)
    order by number limit %s
"""


@dataclass(frozen=True, slots=True)
class KeptImport:
    """A file that was read, and how."""

    import_id: UUID
    sha256: str
    format: str
    mapping: MappingFile
    size_bytes: int
    actor: str


@dataclass(frozen=True, slots=True)
class KeptReport:
    """A report as it was given, without its lines. channel_ids None: all channels."""

    report_id: UUID
    import_id: UUID
    sha256: str
    format: str
    size_bytes: int
    entries: int
    first_day: date
    last_day: date
    channel_ids: list[UUID] | None
    tolerance_basis_points: int
    tolerance_usd: Decimal
    aliases: dict[str, str]
    as_of_position: int
    as_of: datetime
    summary: Summary
    lines: int
    actor: str
    made_at: datetime

    @property
    def tolerance_text(self) -> str:
        """The tolerance in dollars."""
        return plain(self.tolerance_usd)


@dataclass(frozen=True, slots=True)
class NewReport:
    """What a report is of, beside the report itself."""

    report_id: UUID
    import_id: UUID
    first_day: date
    last_day: date
    channel_ids: tuple[UUID, ...] | None
    tolerance_basis_points: int
    tolerance_usd: Decimal
    aliases: dict[str, str]
    as_of_position: int
    as_of: datetime
    actor: str


async def keep_import(connection: AsyncConnection[Any], kept: KeptImport, export: Export) -> None:
    """Keep a file's figures, unless they are kept already. In a transaction of the caller's."""
    values = (
        kept.import_id,
        kept.sha256,
        kept.format,
        _MAPPING.encode(kept.mapping).decode(),
        kept.size_bytes,
        list(export.covers),
        len(export.entries),
        export.first_day,
        export.last_day,
        kept.actor,
    )
    cursor = await connection.execute(_KEEP_IMPORT, values)
    if cursor.rowcount == 0:
        return
    async with cursor.copy(_COPY_ENTRIES) as copy:
        for number, entry in enumerate(export.entries, 1):
            await copy.write_row((kept.import_id, number, *entry))


async def keep_report(connection: AsyncConnection[Any], new: NewReport, report: Report) -> bool:
    """Keep a report; False if it is kept already. In a transaction of the caller's."""
    values = (
        new.report_id,
        new.import_id,
        new.first_day,
        new.last_day,
        None if new.channel_ids is None else list(new.channel_ids),
        new.tolerance_basis_points,
        new.tolerance_usd,
        msgspec.json.encode(new.aliases).decode(),
        new.as_of_position,
        new.as_of,
        msgspec.json.encode(report.summary).decode(),
        len(report.lines),
        new.actor,
    )
    cursor = await connection.execute(_KEEP_REPORT, values)
    if cursor.rowcount == 0:
        return False
    async with cursor.copy(_COPY_LINES) as copy:
        for number, line in enumerate(report.lines, 1):
            row = (line.day, line.model, line.unit, line.outcome, list(line.their_models))
            figures = (line.theirs.units, line.ours.units, line.theirs.usd, line.ours.usd)
            await copy.write_row((new.report_id, number, *row, *figures))
    return True


async def find_report(connection: AsyncConnection[Any], report_id: UUID) -> KeptReport | None:
    """One report."""
    cursor = await connection.execute(_REPORTS + "where r.id = %s", (report_id,))
    row = await cursor.fetchone()
    return None if row is None else _report(row)


async def list_reports(
    connection: AsyncConnection[Any], *, before: UUID | None, limit: int
) -> list[KeptReport]:
    """Reports, the newest first, beginning behind `before`."""
    cursor = await connection.execute(
        _REPORTS + "where %s::uuid is null or (r.made_at, r.id) < (select made_at, id "
        "from operations.reconciliation_report where id = %s) "
        "order by r.made_at desc, r.id desc limit %s",
        (before, before, limit),
    )
    return [_report(row) for row in await cursor.fetchall()]


async def list_lines(
    connection: AsyncConnection[Any],
    report_id: UUID,
    *,
    outcome: Outcome | None,
    after: int,
    limit: int,
) -> list[tuple[int, Line]]:
    """Lines of a report with their numbers, beginning behind the number `after`."""
    cursor = await connection.execute(_LINES, (report_id, after, outcome, outcome, limit))
    return [(row[0], _line(row[1:])) for row in await cursor.fetchall()]


def _report(row: Sequence[Any]) -> KeptReport:
    values = list(row)
    values[11] = msgspec.json.decode(values[11])
    values[14] = _SUMMARY.decode(values[14])
    return KeptReport(*values)


def _line(row: Sequence[Any]) -> Line:
    day, model, unit, outcome, models, their_units, our_units, their_usd, our_usd = row
    return Line(
        day,
        model,
        unit,
        outcome,
        tuple(models),
        Figures(their_units, their_usd),
        Figures(our_units, our_usd),
    )
