"""I-33: whatever is exported sums to the ledger, to the nanodollar, read back by anybody."""

import json
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg
import pyarrow.parquet
import pytest
from beancount import loader
from beancount.core.data import Balance, Open, Transaction
from beancount.core.realization import compute_balance, get, realize

from ledger.book_days import calendar
from ledger.export.formats.beancount import account_name
from ledger.export.formats.contract import Heading
from ledger.export.selection import Selection
from ledger.export.source import Stored, open_snapshot
from ledger.export.tables import TABLES
from ledger.ids import entity_id
from ledger.money import NANOS_PER_USD
from ledger.store.reader import Recorded
from ledger.streams.charge.events import ChargeAdjusted, RefundIssued, UsageSettled
from ledger.streams.setting import ChangeSetting, setting_stream_id
from tests.builders import LawfulLog
from tests.ledger.building import credit
from tests.ledger.export.conftest import Books
from tests.ledger.export.csv_reading import read as read_csv
from tests.ledger.export.exporting import Exported, Sums, export, file_of, folded, stored_events

READERS = ("csv", "jsonl", "parquet", "beancount")


def nanos_of_usd(text: str) -> int:
    nanos = Decimal(text) * NANOS_PER_USD
    assert nanos == int(nanos)
    return int(nanos)


def read_postings(exported: Exported) -> list[dict[str, Any]]:
    """Position, account, nanos and USD of each posting, by the means of others."""
    path = exported.path
    if path.suffix == ".csv":
        with path.open("rb") as file:
            names = [one.name for one in TABLES["postings"].columns]
            rows = list(read_csv(file, TABLES["postings"]))
        return [dict(zip(names, row, strict=True)) for row in rows]
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    found: list[dict[str, Any]] = pyarrow.parquet.read_table(path).to_pylist()
    return found


def sums_of(exported: Exported) -> Sums:
    if exported.path.suffix == ".beancount":
        return beancount_sums(exported.path)
    sums: Counter[str] = Counter()
    for row in read_postings(exported):
        sums[row["ledger_account"]] += row["amount_nanos"]
    return dict(sums)


def beancount_sums(path: Path) -> Sums:
    """By our ledger account, our sign; the assertions are those of Beancount itself."""
    entries, errors, _ = loader.load_file(str(path))
    assert errors == []
    ours = {one.account: one.meta["ledger_account"] for one in entries if isinstance(one, Open)}
    sums: Counter[str] = Counter()
    root = realize(entries)  # type: ignore[no-untyped-call]
    for name, account in ours.items():
        balance = compute_balance(get(root, name), leaf_only=True)  # type: ignore[no-untyped-call]
        sums[account] -= nanos_of_usd(str(balance.get_currency_units("USD").number))
    asserted = {one.account for one in entries if isinstance(one, Balance)}
    assert asserted == set(ours)
    return dict(sums)


@pytest.mark.parametrize("file_format", READERS)
def test_a_whole_export_sums_to_the_ledger(books: Books, folder: Path, file_format: str) -> None:
    exported = export(books.dsn, folder, file_format, what="postings")
    expected = folded(books.dsn)
    assert sum(expected.values()) == 0
    assert exported.sums == expected
    assert sums_of(exported) == expected
    assert exported.manifest.head == exported.manifest.as_of_position == books.head


@pytest.mark.parametrize("file_format", READERS)
def test_an_accounts_export_sums_to_its_part(books: Books, folder: Path, file_format: str) -> None:
    for account_id in books.accounts[:2]:
        exported = export(books.dsn, folder, file_format, what="postings", account_id=account_id)
        assert sums_of(exported) == exported.sums == folded(books.dsn, account_id)


@pytest.mark.parametrize("file_format", ["csv", "jsonl", "parquet"])
def test_parts_laid_end_to_end_are_the_whole(books: Books, folder: Path, file_format: str) -> None:
    cuts = [1, 40, 41, books.head // 2, books.head + 1]
    total: Counter[str] = Counter()
    for first, after in pairwise(cuts):
        part = export(books.dsn, folder, file_format, what="postings", since=first, until=after - 1)
        assert sums_of(part) == part.sums
        total.update(part.sums)
    assert total == Counter(folded(books.dsn))


def test_moments_laid_end_to_end_are_the_whole(books: Books, folder: Path) -> None:
    events = stored_events(books.dsn)
    moment = events[len(events) // 2].recorded.recorded_at
    before = export(books.dsn, folder, "csv", what="postings", until=moment)
    after = export(books.dsn, folder, "csv", what="postings", since=moment)
    assert before.manifest.as_of_position < books.head
    assert before.manifest.is_complete
    assert Counter(before.sums) + Counter(after.sums) == +Counter(folded(books.dsn))
    assert after.manifest.first_position is not None
    assert before.manifest.last_position is not None
    assert before.manifest.last_position < after.manifest.first_position


def test_a_later_part_in_beancount_begins_with_what_was_left(books: Books, folder: Path) -> None:
    middle = books.head // 2
    part = export(books.dsn, folder, "beancount", since=middle)
    opening = part.manifest.opening
    assert opening is not None
    before = folded(books.dsn, until=middle - 1)
    assert {name: int(one.nanos) for name, one in opening.items()} == before
    assert beancount_sums(part.path) == folded(books.dsn)
    assert Counter(part.sums) != Counter(folded(books.dsn))


def test_beancount_has_one_transaction_for_each_event_that_moves_money(
    books: Books, folder: Path
) -> None:
    exported = export(books.dsn, folder, "beancount")
    entries, _, _ = loader.load_file(str(exported.path))
    moving = [one for one in stored_events(books.dsn) if one.postings()]
    transactions = [one for one in entries if isinstance(one, Transaction)]
    assert [int(one.meta["position"]) for one in transactions] == [
        one.recorded.position for one in moving
    ]
    assert [one.meta["stream"] for one in transactions] == [
        str(one.recorded.stream_id) for one in moving
    ]
    assert len(transactions) == exported.manifest.events


def test_days_in_beancount_are_those_of_the_books(folder: Path) -> None:
    tokyo = calendar([(datetime(2029, 1, 1, tzinfo=UTC), "Asia/Tokyo")])
    events = [
        (1, datetime(2030, 1, 31, 14, 59, 59, tzinfo=UTC)),
        (2, datetime(2030, 1, 31, 15, 0, 0, tzinfo=UTC)),  # midnight in Tokyo
        (3, datetime(2030, 2, 1, 14, 59, 59, tzinfo=UTC)),
    ]
    rows = [row for position, at in events for row in credit_rows(position, at)]
    heading = Heading("postings", TABLES["postings"], "a test", events[-1][1], tokyo)
    path = folder / "tokyo.beancount"
    path.write_bytes(file_of("beancount", heading, rows).read())
    entries, errors, _ = loader.load_file(str(path))
    assert errors == []
    booked = {one.meta["position"]: one.date for one in entries if isinstance(one, Transaction)}
    assert booked == {1: date(2030, 1, 31), 2: date(2030, 2, 1), 3: date(2030, 2, 1)}
    assert {one.date for one in entries if isinstance(one, Balance)} == {date(2030, 2, 2)}


def credit_rows(position: int, recorded_at: datetime) -> list[tuple[object, ...]]:
    """The postings of a credit of one dollar."""
    event = credit(entity_id(), NANOS_PER_USD)
    account_id = event.event.account_id  # type: ignore[attr-defined]  # it is a CreditGranted
    topic = event.event.TOPIC
    one = Recorded(
        position, event.stream_id, 1, topic, recorded_at, account_id, position, event.event
    )
    return list(TABLES["postings"].rows(Stored(one, b"{}", bytes(32))))


def test_a_snapshot_knows_the_days_of_the_books(own_books: Books) -> None:
    with psycopg.connect(own_books.dsn, autocommit=True) as connection:
        LawfulLog(connection, seed=1).carry_out(
            {
                setting_stream_id("book.time_zone"): ChangeSetting(
                    "book.time_zone", "Pacific/Kiritimati", "root"
                )
            }
        )
    with open_snapshot(own_books.dsn, Selection(what="events")) as snapshot:
        days = snapshot.days()
    assert days.zone_at(datetime.now(UTC) + timedelta(hours=1)) == "Pacific/Kiritimati"
    assert days.zone_at(datetime(2000, 1, 1, tzinfo=UTC)) == "Asia/Kolkata"


def test_one_nanodollar_more_does_not_pass_beancount(books: Books, folder: Path) -> None:
    path = export(books.dsn, folder, "beancount").path
    head, mark, rest = path.read_text().rpartition("balance Income:Revenue  -")
    digits = rest.split(" ", 1)[0]
    assert mark
    assert digits
    changed = f"{int(digits.replace('.', '')) + 1:010d}"
    path.write_text(f"{head}{mark}{changed[:-9]}.{changed[-9:]}{rest[len(digits) :]}")
    _, errors, _ = loader.load_file(str(path))
    assert len(errors) == 1
    assert "Balance failed for 'Income:Revenue'" in errors[0].message


def test_charges_sum_to_revenue_and_to_provider_cost(books: Books, folder: Path) -> None:
    exported = export(books.dsn, folder, "parquet", what="charges")
    table = pyarrow.parquet.read_table(exported.path)
    expected = folded(books.dsn)
    charged = sum(table["charged_nanos"].to_pylist())
    assert charged == expected["revenue"]
    assert nanos_of_usd(str(sum(table["charged_usd"].to_pylist()))) == charged
    cost = sum(nanos or 0 for nanos in table["cost_nanos"].to_pylist())
    tries = sum(table["tries_cost_nanos"].to_pylist())
    assert tries > 0
    assert cost + tries == -expected.get("provider_cost", 0)
    closing = [
        one
        for one in stored_events(books.dsn)
        if isinstance(one.recorded.event, UsageSettled | RefundIssued | ChargeAdjusted)
    ]
    assert table["position"].to_pylist() == [one.recorded.position for one in closing]


def test_usd_says_the_same_as_nanos(books: Books, folder: Path) -> None:
    for file_format in ("csv", "jsonl", "parquet"):
        for row in read_postings(export(books.dsn, folder, file_format, what="postings")):
            usd = row["amount_usd"]
            nanos = usd if isinstance(usd, int) else nanos_of_usd(str(usd))
            assert nanos == row["amount_nanos"]


def test_names_of_ledger_accounts_never_meet_in_beancount() -> None:
    tricky = [
        "clearing:top_up", "clearing:top-up", "clearing:Top_Up", "clearing:topup",
        "clearing:x_6162", "clearing:ab", "clearing:银行", "clearing:a:b", "clearing:", "clearing",
        "clearing:providers", "providers", "revenue", "Revenue", "other", "x", "clearing:_a",
        "clearing:a__b", "clearing:a_b",
    ]  # fmt: skip
    names = [account_name(one, None) for one in tricky]
    assert len(set(names)) == len(tricky)
