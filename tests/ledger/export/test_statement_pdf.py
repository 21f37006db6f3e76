"""A statement as a PDF, read back: everything that was said is in it, on every page."""

import io
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID

import msgspec
import pypdf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.book_days import BookDays, calendar
from ledger.errors import InvalidSelection
from ledger.export import pdf_text, statement_file, statement_pdf
from ledger.export.statement_file import NamedStatement, export_statement
from ledger.export.statement_pdf import write_statement_pdf
from ledger.statement import (
    BalanceAt,
    LineKind,
    Standing,
    Statement,
    StatementBroken,
    StatementLine,
)
from ledger.statement_summary import StatementSummary

_MARCH = datetime(2026, 3, 1, tzinfo=UTC)
_ACCOUNT = UUID(int=77)
_OPENING = 5_000_000_123


def statement(amounts: list[tuple[LineKind, int]], model: str = "gpt-4o") -> Statement:
    """A statement of these lines; charges are positive here and negative in it."""
    balance, lines, moved = _OPENING, [], Standing()
    for number, (kind, amount) in enumerate(amounts):
        match kind:
            case "credit":
                moved += Standing(posted_nanos=amount, credited_nanos=amount, credits=1)
            case "charge":
                moved += Standing(posted_nanos=-amount, charged_nanos=amount, charges=1)
                amount = -amount
            case "adjustment":
                moved += Standing(posted_nanos=amount, adjusted_nanos=amount, adjustments=1)
        balance += amount
        lines.append(
            StatementLine(
                position=1_000 + number,
                recorded_at=_MARCH + timedelta(minutes=number),
                kind=kind,
                amount_nanos=amount,
                balance_nanos=balance,
                reference=UUID(int=number + 1),
                model="" if kind == "credit" else model,
                detail="top_up" if kind == "credit" else "complete",
            )
        )
    opening = Standing(posted_nanos=_OPENING, credited_nanos=_OPENING, credits=1)
    closing = opening + moved + Standing(held_nanos=7, open_charges=1)
    return Statement(
        account_id=_ACCOUNT,
        opening=BalanceAt(position=999, recorded_at=_MARCH, standing=opening),
        closing=BalanceAt(position=9_000, recorded_at=_MARCH, standing=closing),
        lines=tuple(lines),
        after=999,
        carried_nanos=_OPENING,
        next_after=None,
        as_of=9_000,
        head=9_001,
        since=_MARCH,
        until=_MARCH + timedelta(days=31),
    )


def pdf(given_statement: Statement, name: str | None = "Ada") -> bytes:
    file = io.BytesIO()
    pages = write_statement_pdf(file, given_statement, name)
    assert pages == len(pypdf.PdfReader(file).pages)
    return file.getvalue()


def pages_of(content: bytes) -> list[str]:
    return [page.extract_text() for page in pypdf.PdfReader(io.BytesIO(content)).pages]


def usd(nanos: int) -> str:
    sign = "-" if nanos < 0 else ""
    return f"{sign}{abs(nanos) // 10**9:,}.{abs(nanos) % 10**9:09d}"


def test_it_says_opening_lines_and_closing() -> None:
    said = statement(
        [("credit", 12_345 * 10**9), ("charge", 3_021_003), ("adjustment", -1), ("charge", 0)]
    )
    (text,) = pages_of(pdf(said))
    assert "Account statement" in text
    assert "Ada" in text
    assert str(_ACCOUNT) in text
    assert "from 2026-03-01 00:00:00 UTC until 2026-04-01 00:00:00 UTC" in text
    assert "position 9000 of the ledger" in text
    assert usd(_OPENING) in text
    for line in said.lines:
        assert usd(line.amount_nanos) in text
        assert usd(line.balance_nanos) in text
        assert f"position {line.position}" in text
        assert str(line.reference) in text
    assert "Page 1 of 1" in text
    assert "12,345.000000000" in text
    assert "gpt-4o" in text
    closing = said.closing.standing
    assert usd(closing.posted_nanos) in text
    assert usd(closing.available_nanos) in text
    assert "tollgate verify" in text


_KINDS: st.SearchStrategy[LineKind] = st.sampled_from(["credit", "charge", "adjustment"])


@given(st.lists(st.tuples(_KINDS, st.integers(0, 10**12)), max_size=90))
@settings(max_examples=15, deadline=None)
def test_every_line_is_on_some_page_and_balances_are_carried(
    amounts: list[tuple[LineKind, int]],
) -> None:
    said = statement(amounts)
    pages = pages_of(pdf(said))
    shown = [int(one) for page in pages for one in re.findall(r"\bposition (1\d\d\d)\b", page)]
    assert shown == [line.position for line in said.lines]
    for number, page in enumerate(pages, 1):
        assert f"Page {number} of {len(pages)}" in page
    for before, after in pairwise(pages):
        carried = re.findall(r"Carried forward\s+(-?[\d,.]+)", before)
        brought = re.findall(r"Brought forward\s+(-?[\d,.]+)", after)
        assert carried == brought
        assert len(carried) == 1
    assert sum("Closing balance\n" in page for page in pages) == 1
    assert "How to verify" in pages[-1]


@pytest.mark.parametrize("count", range(10, 80))
def test_nothing_is_set_over_the_foot_of_a_page(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    lowest: list[float] = []
    original = pdf_text.draw

    def draw(canvas: object, x: float, y: float, *rest: object) -> None:
        lowest.append(y)
        original(canvas, x, y, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(statement_pdf, "draw", draw)
    pdf(statement([("charge", 1)] * count))
    foot = min(lowest)
    above = sorted({y for y in lowest if y > foot + 0.1})
    assert above[0] - foot > 20


def test_the_same_statement_gives_the_same_bytes() -> None:
    said = statement([("charge", 5)] * 40, model="модель/большая")
    assert pdf(said, "Ада 北京") == pdf(said, "Ада 北京")
    assert pdf(said, "Ада") != pdf(said, "Ева")


@pytest.mark.parametrize(
    "name",
    [
        "Ада Лавлейс и партнёры", "Ελένη", "Zürich Łódź Việt", "北京智算科技有限公司",
        "株式会社タワー", "한국전력공사", "Acme & Söhne <b>", "Ада at 北京",
    ],
)  # fmt: skip
def test_a_name_in_any_script_is_there(name: str) -> None:
    (text,) = pages_of(pdf(statement([]), name))
    # Those who read words off a PDF break lines where the font changes.
    assert "".join(name.split()) in "".join(text.split())
    assert "Nothing happened in this period." in text


@pytest.mark.parametrize(
    ("name", "fonts"),
    [
        ("Ada", ["Helvetica"]),
        ("Ада", ["DejaVuSans"]),
        ("Ada Ада", ["DejaVuSans"]),
        ("Łódź", ["DejaVuSans"]),
        ("Ada 東京", ["Helvetica", "STSong-Light"]),
        ("東京", ["STSong-Light"]),
        ("東京タワー", ["HeiseiKakuGo-W5"]),
        ("서울 漢", ["HYGothic-Medium", "Helvetica", "HYGothic-Medium"]),
    ],
)
def test_each_script_has_a_font_that_has_it(name: str, fonts: list[str]) -> None:
    found = pdf_text.runs(name)
    assert [run.font for run in found] == fonts
    assert "".join(run.text for run in found) == name


def test_what_no_font_has_is_a_box() -> None:
    assert [run.text for run in pdf_text.runs("\U000e0041")] == [pdf_text.BOX]


@pytest.mark.parametrize("text", ["m" * 500, "м" * 500, "一" * 500, "many words " * 40, "m", ""])
def test_r2_a_long_text_goes_on_in_the_next_line(text: str) -> None:
    lines = pdf_text.wrapped(text, 8, 200)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert all(pdf_text.width(line, 8) <= 200 for line in lines)
    for line, after in pairwise(lines):
        assert pdf_text.width(f"{line} {after.split()[0]}", 8) > 200 or len(text.split()) == 1
    assert (len(lines) > 1) == (len(text) > 1)


def test_r2_nothing_of_a_description_a_name_or_a_heading_is_cut() -> None:
    model = "-".join(f"part{number}" for number in range(40))
    said = statement([("charge", 5)] * 45, model=model)
    name = " ".join(f"Word{number}" for number in range(30))
    pages = pages_of(pdf(said, name))
    assert len(pages) > 2
    whole = ["".join(page.split()) for page in pages]
    assert sum(page.count(model) for page in whole) == 45
    assert all("".join(name.split()) in page for page in whole)
    assert "…" not in "".join(whole)


@pytest.mark.parametrize("count", range(10, 40))
def test_r2_what_is_wrapped_is_not_set_over_the_foot_of_a_page(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    lowest: list[float] = []
    original = pdf_text.draw

    def draw(canvas: object, x: float, y: float, *rest: object) -> None:
        lowest.append(y)
        original(canvas, x, y, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(statement_pdf, "draw", draw)
    pdf(statement([("charge", 1)] * count, model="m" * 200), "A name of many words " * 9)
    foot = min(lowest)
    above = sorted({y for y in lowest if y > foot + 0.1})
    assert above[0] - foot > 20


def test_r2_days_are_told_with_their_zone() -> None:
    said = statement([("charge", 3)] * 200)
    moved = said.lines[100].recorded_at
    days = calendar([(_MARCH - timedelta(days=9), "Asia/Kolkata"), (moved, "Europe/Riga")])
    summary = StatementSummary("day", days)
    summary.take(said.lines)
    (text,) = pages_of(summarised(said, summary))
    assert "Days in Asia/Kolkata" in text
    late = replace(said, lines=tuple(_a_day_later(line) for line in said.lines[150:]))
    summary.take(late.lines)
    assert summary.time_zones == ("Asia/Kolkata", "Europe/Riga")
    by_model = StatementSummary("model", days)
    by_model.take(said.lines)
    (text,) = pages_of(summarised(said, by_model))
    assert "Days in" not in text


def _a_day_later(line: StatementLine) -> StatementLine:
    return msgspec.structs.replace(line, recorded_at=line.recorded_at + timedelta(days=1))


def test_d15_a_summary_stands_for_thousands_of_lines() -> None:
    said = statement([("credit", 10**12), *[("charge", 1_000_000 + n) for n in range(2_076)]])
    for by, count in (("day", 2), ("model", 2)):
        summary = StatementSummary(by, BookDays())  # type: ignore[arg-type]  # a name each
        summary.take(said.lines)
        assert len(summary.rows()) == count
        (text,) = pages_of(summarised(said, summary))
        assert f"Account statement by {by}" in text
        for row in summary.rows():
            assert row.label in text
            assert usd(row.moved.posted_nanos) in text
            if row.balance_nanos is not None:
                assert usd(row.balance_nanos) in text
        assert "2076 calls -2.078153850" in " ".join(text.split()) or by == "day"
        assert "position 1000" not in text
        both = pages_of(summarised(said, summary, with_lines=True))
        assert "Line by line" in both[0]
        assert len(re.findall(r"position [123]\d{3}\b", "".join(both))) == 2_077


def test_d15_as_of_the_same_position_the_bytes_are_the_same_however_far_the_ledger_is() -> None:
    said = statement([("credit", 10), ("charge", 3)])
    assert pdf(said) == pdf(replace(said, head=9_999_999))
    summary = StatementSummary("day", BookDays())
    summary.take(said.lines)
    assert summarised(said, summary) == summarised(replace(said, head=12_345), summary)


def summarised(said: Statement, summary: StatementSummary, *, with_lines: bool = False) -> bytes:
    file = io.BytesIO()
    pages = write_statement_pdf(file, said, "Ada", summary, with_lines=with_lines)
    assert pages == len(pypdf.PdfReader(file).pages)
    return file.getvalue()


def test_no_statement_that_does_not_add_up() -> None:
    whole = statement([("charge", 5), ("charge", 6)])
    torn = Statement(
        **{
            **{name: getattr(whole, name) for name in Statement.__slots__},
            "lines": whole.lines[:1],
        }
    )
    with pytest.raises(StatementBroken):
        write_statement_pdf(io.BytesIO(), torn, "Ada")


def test_not_a_book_of_thousands_of_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statement_file, "LINES_MAX", 3)
    file = io.BytesIO()
    said = statement([("charge", 5)] * 4)
    with pytest.raises(InvalidSelection):
        export_statement(file, NamedStatement(said, "Ada", _MARCH), "x.pdf")
    assert file.getvalue() == b""


def test_its_manifest_leads_from_opening_to_closing() -> None:
    said = statement([("credit", 10), ("charge", 3)])
    file = io.BytesIO()
    manifest = export_statement(file, NamedStatement(said, None, _MARCH), "x.pdf")
    assert manifest.size_bytes == len(file.getvalue())
    assert manifest.opening is not None
    opening, moved = manifest.opening["posted"], manifest.postings["posted"]
    assert int(opening.nanos) + int(moved.nanos) == said.closing.standing.posted_nanos
    assert (manifest.rows, manifest.first_position, manifest.last_position) == (2, 1_000, 1_001)
    assert not manifest.is_complete
