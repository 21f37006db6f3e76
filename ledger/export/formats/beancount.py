"""Beancount (https://beancount.github.io/docs/beancount_language_syntax.html): plain-text books.

One transaction for each event that moves money, with its position; before them the balances that
the part of the log before has left, after them an assertion of every account's balance, to the
nanodollar. In Beancount a debit is positive, in our postings a credit is: every sign turns.

Days are those of the books, in the time zone that was set then; an assertion holds at the beginning
of its day, so it stands on the day after the last event.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import BinaryIO
from uuid import UUID

from ledger.book_days import FIRST_DAY, BookDays
from ledger.export.formats.contract import Heading
from ledger.export.source import Opening, owner_of
from ledger.export.tables import Posted, Row, moment_text
from ledger.money import NANOS_PER_USD

_HOUSE: Mapping[str, str] = {
    "revenue": "Income:Revenue",
    "provider_cost": "Expenses:Provider-Cost",
    "promotions": "Expenses:Promotions",
    "adjustments": "Expenses:Adjustments",
    "clearing:providers": "Liabilities:Providers",
}
_CUSTOMERS = "Liabilities:Customers"
_CLEARING = "Assets:Clearing"
_OTHER = "Equity:Other"
_WORDS = re.compile(r"(?!x_)[a-z][a-z0-9]*(_[a-z0-9]+)*", re.ASCII)
_ONE_DAY = timedelta(days=1)


def account_name(account: str, customer_id: UUID | None) -> str:
    """What a ledger account is called in Beancount; no two have the same name.

    >>> account_name("clearing:top_up", None)
    'Assets:Clearing:Top-Up'
    """
    if account in _HOUSE:
        return _HOUSE[account]
    family, colon, rest = account.partition(":")
    if family == "customer" and colon:
        owner = "Nobody" if customer_id is None else f"C-{customer_id}"
        return f"{_CUSTOMERS}:{owner}:{_component(rest)}"
    if family == "clearing" and colon:
        return f"{_CLEARING}:{_component(rest)}"
    return f"{_OTHER}:{_component(account)}"


def _component(name: str) -> str:
    """One part of an account's name: words in capitals, anything else as the hex of its bytes."""
    if _WORDS.fullmatch(name):
        return "-".join(word.capitalize() for word in name.split("_"))
    return f"X-{name.encode().hex()}"


class BeancountWriter:
    """Transactions as they come; remembers one balance for each account."""

    def __init__(self, file: BinaryIO, heading: Heading) -> None:
        self._file = file
        self._heading = heading
        self._openings: Sequence[Opening] = heading.openings
        self._balances: Counter[str] = Counter()
        self._days = _Days(heading.days)
        self._last_day = heading.days.day_of(heading.as_of)
        self._has_rows = False
        self._put(
            f"; {heading.description}\n"
            f'option "title" {_quoted(heading.description)}\n'
            'option "operating_currency" "USD"\n\n'
            '1970-01-01 commodity USD\n  name: "US Dollar"\n  unit: "0.000000001"\n'
        )

    def write(self, rows: Sequence[Row]) -> None:
        """See FileWriter. The rows of one event must come together."""
        postings = (Posted.of(row) for row in rows)
        for _, legs in groupby(postings, lambda posted: posted.position):
            self._transaction(list(legs))

    def close(self) -> None:
        """See FileWriter."""
        if not self._has_rows:
            self._open_balances(self._last_day)
        day = self._last_day + _ONE_DAY
        for name in sorted(self._balances):
            self._put(f"\n{day} balance {name}  {_usd(self._balances[name])} ~ 0 USD")
        self._put("\n")

    def abandon(self) -> None:
        """See FileWriter."""

    def _transaction(self, legs: Sequence[Posted]) -> None:
        first = legs[0]
        day = self._days.day_of(first.recorded_at)
        if not self._has_rows:
            self._open_balances(day)
        self._has_rows, self._last_day = True, day
        owners = [owner_of(leg.ledger_account, leg.account_id) for leg in legs]
        names = [
            self._opened(day, leg.ledger_account, owner)
            for leg, owner in zip(legs, owners, strict=True)
        ]
        self._put(
            f"\n{day} * {_quoted(first.topic)}\n"
            f"  position: {first.position}\n"
            f'  recorded_at: "{moment_text(first.recorded_at)}"\n'
            f'  stream: "{first.stream_id}"\n'
            f"  version: {first.version}\n"
        )
        if first.account_id is not None:
            self._put(f'  customer: "{first.account_id}"\n')
        for leg, name in zip(legs, names, strict=True):
            self._post(name, leg.amount_nanos)

    def _open_balances(self, day: date) -> None:
        if not self._openings:
            return
        names = [self._opened(day, one.account, one.customer_id) for one in self._openings]
        self._put(f'\n{day} * "What the log before this file has left"\n')
        for name, one in zip(names, self._openings, strict=True):
            self._post(name, one.amount_nanos)

    def _opened(self, day: date, account: str, customer_id: UUID | None) -> str:
        name = account_name(account, customer_id)
        if name not in self._balances:
            self._balances[name] = 0
            self._put(f"\n{day} open {name}  USD\n  ledger_account: {_quoted(account)}\n")
        return name

    def _post(self, name: str, credited_nanos: int) -> None:
        self._balances[name] -= credited_nanos
        self._put(f"  {name}  {_usd(-credited_nanos)} USD\n")

    def _put(self, text: str) -> None:
        self._file.write(text.encode())


class _Days:
    """The day of each moment in turn: nearly always that of the one before."""

    def __init__(self, days: BookDays) -> None:
        self._days = days
        self._day = FIRST_DAY
        self._begins = self._ends = days.start(FIRST_DAY)

    def day_of(self, moment: datetime) -> date:
        """The day of the books."""
        if not self._begins <= moment < self._ends:
            self._day = self._days.day_of(moment)
            self._begins = self._days.start(self._day)
            self._ends = self._days.start(self._day + _ONE_DAY)
        return self._day


def _usd(nanos: int) -> str:
    dollars, fraction = divmod(abs(nanos), NANOS_PER_USD)
    return f"{'-' if nanos < 0 else ''}{dollars}.{fraction:09d}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
    return f'"{escaped}"'


def begin(file: BinaryIO, heading: Heading) -> BeancountWriter:
    """Begin a file."""
    return BeancountWriter(file, heading)
