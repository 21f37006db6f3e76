"""An account's statement as a PDF: opening, a summary or every line or both, closing.

The same statement as of the same position, and the same name, always give the same bytes, however
far the ledger has come. The amounts are exact: nine digits after the point, as the ledger has them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import BinaryIO

from reportlab.lib.colors import Color, HexColor
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

from ledger.export.pdf_text import BOLD, PLAIN, draw, width, wrapped
from ledger.export.statement_rows import Row, amount_text, lined, summed
from ledger.statement import BalanceAt, Statement
from ledger.statement_summary import StatementSummary

_PAGE_WIDTH, _PAGE_HEIGHT = A4
_LEFT, _RIGHT = 48.0, _PAGE_WIDTH - 48.0
_TOP, _BOTTOM = _PAGE_HEIGHT - 48.0, 62.0
_DESCRIPTION, _AMOUNT = _LEFT + 96.0, _RIGHT - 112.0
_HEAD_BOTTOM, _FURTHER_BOTTOM = _TOP - 230.0, _TOP - 30.0
_ROW = 23.0
_NAME_LINE, _HEADING_LINE, _TEXT_LINE = 16.0, 10.0, 10.5
"""How much each further line of a name, of a page's heading and of a row takes."""
_INK, _SOFT, _RULE, _BAND = (
    HexColor(0x1A1F2B), HexColor(0x667085), HexColor(0xD0D5DD), HexColor(0xF2F4F7),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Layout:
    """How many rows stand on each page."""

    counts: tuple[int, ...]

    @property
    def pages(self) -> int:
        """How many there are."""
        return len(self.counts)


def write_statement_pdf(
    file: BinaryIO,
    statement: Statement,
    name: str | None,
    summary: StatementSummary | None = None,
    *,
    with_lines: bool = True,
) -> int:
    """Write a statement that has all its lines; the number of pages. `name`: the account's, None
    where there is none (any more). A `summary` goes before the lines, or in their place.

    Raises StatementBroken where the statement does not add up.
    """
    assert statement.next_after is None, "it must be whole"
    assert statement.after == statement.opening.position, "it must be whole"
    statement.check()
    canvas = Canvas(file, pagesize=A4, pageCompression=1, invariant=1)
    canvas.setTitle(f"Account statement {statement.account_id}")
    canvas.setAuthor("Tollgate")
    canvas.setSubject(f"As of position {statement.as_of}: {_period(statement)}")
    rows = [] if summary is None else [summed(row, summary.by) for row in summary.rows()]
    if with_lines:
        if rows:
            opening_nanos = statement.opening.standing.posted_nanos
            rows.append(Row("", "", "Line by line", "from the opening on", None, opening_nanos))
        rows += [lined(line) for line in statement.lines]
    title = "Account statement" if summary is None else f"Account statement by {summary.by}"
    zones = () if summary is None else summary.time_zones
    pages = _Pages(canvas, statement, name, rows, title, zones)
    pages.write()
    canvas.save()
    return pages.layout.pages


class _Pages:
    """Writes one statement, from the top of the first page to the bottom of the last."""

    def __init__(
        self,
        canvas: Canvas,
        statement: Statement,
        name: str | None,
        rows: Sequence[Row],
        title: str,
        zones: Sequence[str],
    ) -> None:
        self._canvas = canvas
        self._statement = statement
        self._all_rows = rows
        self._heading = title
        self._zones = zones
        self._name = wrapped(name or "(no name)", 13, _RIGHT - _LEFT, BOLD)
        heading = f"{name or '(no name)'} · {_period(statement)}"
        self._page_heading = wrapped(heading, 8, _RIGHT - _LEFT)
        self._lower = _NAME_LINE * (len(self._name) - 1)
        self._page = 0
        self._y = 0.0
        self.layout = self._planned()

    def write(self) -> None:
        """All pages."""
        rows = self._all_rows
        layout = self.layout
        carried: int | None = self._statement.opening.standing.posted_nanos
        for number, count in enumerate(layout.counts, 1):
            part, rows = rows[:count], rows[count:]
            self._begin(number)
            self._rows(part, carried, is_first=number == 1)
            carried = part[-1].balance_nanos if part else carried
            if number == layout.pages:
                self._closing_row()
                self._notes()
            else:
                self._edge("Carried forward", carried)
            self._canvas.showPage()

    # ------------------------------------------------------------------ the plan

    def _planned(self) -> _Layout:
        """The pages are counted beforehand, for each says how many there are."""
        first = _room(_HEAD_BOTTOM - self._lower)
        further = _room(_FURTHER_BOTTOM - _HEADING_LINE * (len(self._page_heading) - 1))
        notes = 4 * _ROW
        counts, count, used, room = [], 0, 0.0, first
        for row in self._all_rows:
            height = _height(row)
            if used + height > room:
                counts.append(count)
                count, used, room = 0, 0.0, further
            count, used = count + 1, used + height
        counts.append(count)
        return _Layout((*counts, 0) if used > room - notes else tuple(counts))

    # ------------------------------------------------------------------ the head of a page

    def _begin(self, number: int) -> None:
        self._page = number
        if number == 1:
            self._title()
            self._summary()
            self._y = _HEAD_BOTTOM - self._lower
        else:
            self._ink(_SOFT)
            self._y = _FURTHER_BOTTOM + _HEADING_LINE
            for number_of_line, line in enumerate(self._page_heading):
                draw(self._canvas, _LEFT, _TOP - _HEADING_LINE * number_of_line, line, 8)
                self._y -= _HEADING_LINE
        self._footer()
        self._column_heads()

    def _title(self) -> None:
        statement = self._statement
        self._ink(_INK)
        draw(self._canvas, _LEFT, _TOP - 12, self._heading, 20, BOLD)
        self._ink(_SOFT)
        self._right(_RIGHT, _TOP - 12, "All amounts in USD · all times in UTC", 8)
        if self._zones:
            self._right(_RIGHT, _TOP - 23, f"Days in {', then '.join(self._zones)}", 8)
        self._ink(_INK)
        for number, line in enumerate(self._name):
            draw(self._canvas, _LEFT, _TOP - 42 - _NAME_LINE * number, line, 13, BOLD)
        facts = (
            ("Account", str(statement.account_id)),
            ("Period", _period(statement)),
            ("As of", f"position {statement.as_of} of the ledger"),
        )
        for number, (label, value) in enumerate(facts):
            y = _TOP - 60 - self._lower - 13 * number
            self._ink(_SOFT)
            draw(self._canvas, _LEFT, y, label, 9)
            self._ink(_INK)
            draw(self._canvas, _LEFT + 52, y, value, 9)

    def _summary(self) -> None:
        statement, moved = self._statement, self._statement.moved
        opening, closing = statement.opening, statement.closing
        left = (
            (f"Opening balance{_at(opening)}", opening.standing.posted_nanos),
            (f"Credited ({moved.credits})", moved.credited_nanos),
            (f"Charged for calls ({moved.charges})", -moved.charged_nanos),
            (f"Adjusted ({moved.adjustments})", moved.adjusted_nanos),
            (f"Closing balance{_at(closing)}", closing.standing.posted_nanos),
            (
                f"On hold (open calls: {closing.standing.open_charges})",
                -closing.standing.held_nanos,
            ),
            ("Available", closing.standing.available_nanos),
        )
        top = _TOP - 104 - self._lower
        self._canvas.setFillColor(_BAND)
        height = 15.0 * len(left) + 8
        self._canvas.roundRect(_LEFT, top - height + 5, _RIGHT - _LEFT, height, 4, 0, 1)
        for number, (label, nanos) in enumerate(left):
            font = BOLD if number in (0, 4, 6) else PLAIN
            y = top - 9 - 15.0 * number
            self._ink(_INK)
            draw(self._canvas, _LEFT + 10, y, label, 9, font)
            self._right(_RIGHT - 10, y, amount_text(nanos), 9, font)

    def _column_heads(self) -> None:
        self._ink(_SOFT)
        for x, text in ((_LEFT, "Time"), (_DESCRIPTION, "Description")):
            draw(self._canvas, x, self._y, text, 7.5, BOLD)
        self._right(_AMOUNT, self._y, "Amount", 7.5, BOLD)
        self._right(_RIGHT, self._y, "Balance", 7.5, BOLD)
        self._line(self._y - 5)
        self._y -= 9.0

    # ------------------------------------------------------------------ rows

    def _rows(self, rows: Sequence[Row], carried: int | None, *, is_first: bool) -> None:
        self._edge("Opening balance" if is_first else "Brought forward", carried)
        for row in rows:
            self._row(row)
        if not self._statement.lines:
            self._y -= _ROW
            self._ink(_SOFT)
            draw(self._canvas, _DESCRIPTION, self._y + 9, "Nothing happened in this period.", 8.5)

    def _row(self, row: Row) -> None:
        self._y -= _height(row)
        upper, lower = self._y + _height(row) - _ROW + 11.5, self._y + 2.5
        self._ink(_INK)
        draw(self._canvas, _LEFT, upper, row.left, 8)
        for number, line in enumerate(_text_lines(row)):
            draw(self._canvas, _DESCRIPTION, upper - _TEXT_LINE * number, line, 8.5)
        self._right(_AMOUNT, upper, _amount(row), 8.5)
        if row.balance_nanos is not None:
            self._right(_RIGHT, upper, amount_text(row.balance_nanos), 8.5)
        self._ink(_SOFT)
        draw(self._canvas, _LEFT, lower, row.left_below, 6.5)
        draw(self._canvas, _DESCRIPTION, lower, row.text_below, 6.5)
        self._line(self._y - 2.5)

    def _edge(self, label: str, nanos: int | None) -> None:
        """A row that says where the balance stands; none where rows before have no balance."""
        if nanos is None:
            return
        self._y -= _ROW
        self._ink(_INK)
        draw(self._canvas, _DESCRIPTION, self._y + 7, label, 8.5, BOLD)
        self._right(_RIGHT, self._y + 7, amount_text(nanos), 8.5, BOLD)
        self._line(self._y - 2.5)

    def _closing_row(self) -> None:
        self._edge("Closing balance", self._statement.closing.standing.posted_nanos)

    def _notes(self) -> None:
        statement = self._statement
        notes = (
            "How to verify. Each line names its event's position in the append-only ledger, and the"
            " id of its call or credit. Opening balance and lines add up to the closing balance,"
            " and this statement says the same whenever it is asked for as of position"
            f" {statement.as_of}.",
            f"tollgate ledger statement {statement.account_id} --as-of {statement.as_of} prints it"
            " from the ledger; tollgate ledger prove POSITION makes a proof that an event is in it,"
            " which tollgate verify checks without the ledger.",
        )
        self._y -= 14.0
        self._ink(_SOFT)
        for note in notes:
            for line in wrapped(note, 7.5, _RIGHT - _LEFT):
                self._y -= 10.0
                draw(self._canvas, _LEFT, self._y, line, 7.5)
            self._y -= 4.0

    def _footer(self) -> None:
        self._line(_BOTTOM - 22)
        self._ink(_SOFT)
        statement = self._statement
        about = f"Account {statement.account_id} · as of position {statement.as_of}"
        draw(self._canvas, _LEFT, _BOTTOM - 33, about, 7.5)
        self._right(_RIGHT, _BOTTOM - 33, f"Page {self._page} of {self.layout.pages}", 7.5)

    # ------------------------------------------------------------------ strokes

    def _right(self, x: float, y: float, text: str, size: float, font: str = PLAIN) -> None:
        draw(self._canvas, x - width(text, size, font), y, text, size, font)

    def _line(self, y: float) -> None:
        self._canvas.setStrokeColor(_RULE)
        self._canvas.setLineWidth(0.5)
        self._canvas.line(_LEFT, y, _RIGHT, y)

    def _ink(self, color: Color) -> None:
        self._canvas.setFillColor(color)


def _room(top: float) -> float:
    """How high the rows of a page may be together, below its head at `top`: beside them it has what
    is brought forward and what is carried forward.
    """
    return (int((top - _BOTTOM) // _ROW) - 3) * _ROW


def _height(row: Row) -> float:
    return _ROW + _TEXT_LINE * (len(_text_lines(row)) - 1)


def _text_lines(row: Row) -> tuple[str, ...]:
    room = _AMOUNT - _DESCRIPTION - width(_amount(row), 8.5) - 12
    return wrapped(row.text, 8.5, room)


def _amount(row: Row) -> str:
    return "" if row.amount_nanos is None else amount_text(row.amount_nanos)


def _at(balance: BalanceAt) -> str:
    return f", position {balance.position}" if balance.position else ""


def _period(statement: Statement) -> str:
    since = "the beginning" if statement.since is None else _moment(statement.since)
    until = f"position {statement.as_of}" if statement.until is None else _moment(statement.until)
    return f"from {since} until {until}"


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
