"""A statement as a PDF with the manifest that goes with every export."""

from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO, cast

from ledger.errors import InvalidSelection
from ledger.export.hashed_file import HashedFile
from ledger.export.manifest import FORMAT, Manifest, SelectionSaid, made_by, sums
from ledger.export.tables import moment_text
from ledger.statement import Statement
from ledger.statement_summary import StatementSummary

CONTENT_TYPE = "application/pdf"
LINES_MAX = 50_000
"""More would be a book of thousands of pages that nobody reads; there are other formats."""


@dataclass(frozen=True, slots=True)
class NamedStatement:
    """A whole statement, and what its account is called, where it has a name.

    `as_of`: when the position was recorded that it is as of; None before the first event.
    `checkpoint`: the newest sealed one, if any. `time_zone`: see Manifest.
    """

    statement: Statement
    name: str | None
    as_of: datetime | None
    checkpoint: str | None = None
    time_zone: str | None = None
    summary: StatementSummary | None = None
    with_lines: bool = True
    """Whether its lines are written, where there is a summary."""


def export_statement(file: BinaryIO, named: NamedStatement, file_name: str) -> Manifest:
    """Write it into a file called `file_name`; its manifest.

    Raises StatementBroken where the statement does not add up, InvalidSelection where it is longer
    than LINES_MAX.
    """
    # The library that draws takes longer to load than a statement to be read.
    from ledger.export.statement_pdf import write_statement_pdf  # noqa: PLC0415

    statement = named.statement
    if named.with_lines and len(statement.lines) > LINES_MAX:
        raise InvalidSelection(
            f"{len(statement.lines)} lines are too many for a PDF (at most {LINES_MAX}): "
            "ask for a shorter period, or for another format"
        )
    hashed = HashedFile(file)
    write_statement_pdf(
        cast("BinaryIO", hashed),
        statement,
        named.name,
        named.summary,
        with_lines=named.with_lines,
    )
    lines, until = statement.lines, statement.until
    rows = 0 if named.summary is None else len(named.summary.rows())
    rows += len(lines) if named.with_lines else 0
    opening = statement.opening.standing.posted_nanos
    return Manifest(
        format=FORMAT,
        made_by=made_by(),
        file=file_name,
        file_format="pdf",
        size_bytes=hashed.size_bytes,
        sha256=hashed.sha256.hexdigest(),
        selection=SelectionSaid(
            what="statement",
            account=statement.account_id,
            since=None if statement.since is None else moment_text(statement.since),
            until=None if until is None else moment_text(until),
        ),
        head=statement.head,
        taken_at=None,
        as_of_position=statement.as_of,
        as_of=None if named.as_of is None else moment_text(named.as_of),
        is_complete=until is None or (named.as_of is not None and named.as_of >= until),
        events=len(lines),
        rows=rows,
        first_position=lines[0].position if lines else None,
        last_position=lines[-1].position if lines else None,
        postings=sums({"posted": statement.closing.standing.posted_nanos - opening}),
        opening=sums({"posted": opening}),
        columns=[],
        checkpoint=named.checkpoint,
        time_zone=named.time_zone,
    )
