"""What-if: what somebody asks, checked; and the answer as it is told. Nothing is written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any
from uuid import UUID

import msgspec
from psycopg import AsyncConnection

from admin_api.accounts.operations import require_account
from admin_api.books.operations.exports import read_period
from admin_api.desk import Desk
from admin_api.errors import InvalidInput
from admin_api.fields import inputs
from admin_api.fields.as_of import parse_day_or_moment
from admin_api.prices.operations.price_inputs import CLASS_OF_FIELD, PriceInput, read_price
from ledger import clock
from ledger.alternative import Alternative, Question
from ledger.book_days import BookDays, read_days
from ledger.errors import InvalidSelection, NotFound
from ledger.money import NANOS_PER_USD, format_usd, parse_usd
from ledger.pricing import Line, Multiplier, Price
from ledger.reprice import Repriced, Sums, WhatIf
from ledger.store.reader import read_head
from ledger.streams.adjustment import Correction
from ledger.streams.price import SALE, PriceSet
from projections.books.as_of import last_before
from projections.books.reprice import Progress, what_if

ADMISSION, NOW = "admission", "now"
"""When a book is read: as of each call's own admission, or as of the question."""

SALE_NAME = "sale"
"""How the book that customers are charged by is called at the desk."""

BOOK_MAX = 200
ACCOUNTS_MAX = 1_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# The last two conditions are those of the index event_configuration, so that only it is read.
_HAS_BOOK = f"""
    select exists (select from ledger.event where topic = '{PriceSet.TOPIC}'
    and coalesce(convert_from(state, 'UTF8')::jsonb ->> 'book', '') = %s
    and topic not like 'charge.%%' and topic not like 'credit.%%')
"""  # noqa: S608 - a constant


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedReprice:
    """A what-if as somebody wrote it.

    book: a name, SALE_NAME for what customers pay; None: prices as they were charged.
    prices_as_of: NOW, ADMISSION, a moment, or a day for its end. since, until: as for exports.
    prices: by model. multipliers: "1.5" by group.
    """

    book: str | None = None
    prices_as_of: str = NOW
    prices: Mapping[str, PriceInput] = field(default_factory=dict)
    multipliers: Mapping[str, str] = field(default_factory=dict)
    since: str | None = None
    until: str | None = None
    accounts: Sequence[UUID] = ()
    models: Sequence[str] = ()


class ToldSums(msgspec.Struct, frozen=True, kw_only=True):
    """Calls, what customers paid for them, and what they would; amounts in USD."""

    calls: int
    raised_calls: int
    lowered_calls: int
    before: str
    after: str
    difference: str
    raised: str
    lowered: str


class ToldModel(msgspec.Struct, frozen=True):
    """The sums of one model."""

    model: str
    sums: ToldSums


class ToldAccount(msgspec.Struct, frozen=True):
    """The sums of one account."""

    account: UUID
    sums: ToldSums


class ToldLine(msgspec.Struct, frozen=True):
    """units x price / per_units; the price in USD."""

    kind: str
    units: int
    price: str
    per_units: int


class ToldCall(msgspec.Struct, frozen=True, kw_only=True):
    """One call: the lines it was billed by, and those of the other price."""

    request: UUID
    account: UUID
    model: str
    before: str
    after: str
    difference: str
    lines_before: list[ToldLine]
    lines_after: list[ToldLine]


class ToldUnpriced(msgspec.Struct, frozen=True, kw_only=True):
    """Calls that the other prices say nothing of, and why; they are in no sum. `paid` in USD."""

    model: str
    service: str
    cause: str
    calls: int
    paid: str
    examples: list[UUID]


class ToldCorrection(msgspec.Struct, frozen=True, kw_only=True):
    """What a correction of one direction would do; see `ledger.streams.adjustment.Correction`."""

    charges: int
    accounts: int
    before: str
    after: str
    difference: str
    digest: str


class ToldWhatIf(msgspec.Struct, frozen=True, kw_only=True):
    """An answer. The lists of accounts and calls have the most affected ones, models are all.

    `positions`: first and last of the closing events that were asked for. `unchanged_accounts`:
    accounts with calls whose total stays. `corrections`: by direction, `both` and `customer`.
    `prices_as_of`: when the book was read; None: at each admission, or there was no book.
    """

    positions: tuple[int, int]
    as_of: int
    total: ToldSums
    models: list[ToldModel]
    accounts: list[ToldAccount]
    changed_accounts: int
    unchanged_accounts: int
    raised: list[ToldCall]
    lowered: list[ToldCall]
    unpriced_calls: int
    unpriced_paid: str
    unpriced: list[ToldUnpriced]
    corrections: dict[str, ToldCorrection]
    prices_as_of: str | None = None


class KeptWhatIf(msgspec.Struct, frozen=True, kw_only=True):
    """What a job keeps: the answer for people, and what a correction is proposed from."""

    answer: ToldWhatIf
    proposals: dict[str, Correction]


async def read_question(desk: Desk, asked: AskedReprice) -> Question:
    """The question, in the ledger's own terms, as of the end of the log.

    Raises InvalidInput, InvalidAmount, InvalidSelection, NotFound for an account or a book.
    """
    if len(asked.accounts) > ACCOUNTS_MAX:
        raise InvalidInput("accounts", f"must not be more than {ACCOUNTS_MAX}")
    for account_id in asked.accounts:
        await require_account(desk, account_id)
    async with desk.reading() as connection:
        alternative = _alternative(asked, await read_days(connection))
        if alternative.book is not None:
            await _require_book(connection, alternative.book)
        head, _ = await read_head(connection)
        since, until = await read_period(connection, asked.since, asked.until)
        first = 1 if since is None else await _first(connection, since, head)
        last = head if until is None else await _last(connection, until, head)
    if first > last:
        raise InvalidSelection("the period is empty: it ends before it begins, or nothing is in it")
    return Question(
        alternative=alternative,
        first=first,
        last=last,
        as_of=head,
        accounts=tuple(sorted(set(asked.accounts))),
        models=inputs.models("models", asked.models) if asked.models else (),
    )


async def answer(desk: Desk, question: Question, progress: Progress) -> KeptWhatIf:
    """The answer to a question, by reading every call it is about."""
    async with desk.pool.connection() as connection:
        found = await what_if(connection, question, progress)
    return KeptWhatIf(
        answer=told(found),
        proposals={direction: found.correction(direction) for direction in ("both", "customer")},
    )


def told(found: WhatIf) -> ToldWhatIf:
    """The answer for people."""
    changed = sum(bool(sums.delta_nanos) for sums in found.by_account.values())
    unpriced = sorted(found.unpriced.items(), key=lambda item: (-item[1].calls, item[0]))
    moment_us = found.question.alternative.moment_us
    return ToldWhatIf(
        prices_as_of=None if moment_us is None else inputs.format_moment(moment_us),
        positions=(found.question.first, found.question.last),
        as_of=found.question.as_of,
        total=_sums(found.total),
        models=[ToldModel(name, _sums(sums)) for name, sums in sorted(found.by_model.items())],
        accounts=[ToldAccount(account_id, _sums(sums)) for account_id, sums in found.accounts()],
        changed_accounts=changed,
        unchanged_accounts=len(found.by_account) - changed,
        raised=[_call(each) for each in found.raised],
        lowered=[_call(each) for each in found.lowered],
        unpriced_calls=sum(each.calls for _, each in unpriced),
        unpriced_paid=format_usd(sum(each.paid_nanos for _, each in unpriced)),
        unpriced=[
            ToldUnpriced(
                model=model,
                service=service,
                cause=cause,
                calls=each.calls,
                paid=format_usd(each.paid_nanos),
                examples=each.examples,
            )
            for (model, service, cause), each in unpriced
        ],
        corrections={
            direction: told_correction(found.correction(direction))
            for direction in ("both", "customer")
        },
    )


def told_correction(correction: Correction) -> ToldCorrection:
    """What a correction would do, for people."""
    before, delta = correction.before_nanos, correction.delta_nanos
    return ToldCorrection(
        charges=correction.charges,
        accounts=correction.accounts,
        before=format_usd(before),
        after=format_usd(before + delta),
        difference=format_usd(delta),
        digest=correction.digest,
    )


def _alternative(asked: AskedReprice, days: BookDays) -> Alternative:
    book = None if asked.book is None else inputs.text("book", asked.book, BOOK_MAX)
    if book == SALE_NAME:
        book = SALE
    moment_us = None
    if book is not None and asked.prices_as_of != ADMISSION:
        moment_us = _moment_us(asked.prices_as_of, days)
    prices = {inputs.model("prices", model): _price(given) for model, given in asked.prices.items()}
    multipliers = {
        inputs.group("multipliers", name): _multiplier(text)
        for name, text in asked.multipliers.items()
    }
    try:
        return Alternative(book=book, moment_us=moment_us, prices=prices, multipliers=multipliers)
    except ValueError as refusal:
        raise InvalidInput("book", str(refusal)) from refusal


def _moment_us(text: str, days: BookDays) -> int:
    if text == NOW:
        return clock.now_us()
    when = parse_day_or_moment("as_of", text)
    assert when is not None, "a text was given"
    moment = when if isinstance(when, datetime) else days.end(when)
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _price(given: PriceInput) -> Price:
    unknown = sorted(set(given.rates) - set(CLASS_OF_FIELD))
    if unknown:
        raise InvalidInput("prices", f"there is no rate {unknown[0][:40]!r}")
    return read_price(given)


def _multiplier(text: str) -> Multiplier:
    ratio = Fraction(parse_usd(text), NANOS_PER_USD)
    return Multiplier(ratio.numerator, ratio.denominator)


async def _require_book(connection: AsyncConnection[Any], book: str) -> None:
    row = await (await connection.execute(_HAS_BOOK.encode(), (book,))).fetchone()
    if row is None or not row[0]:
        raise NotFound(f"no price was ever set in a book {(book or SALE_NAME)[:40]!r}")


async def _first(connection: AsyncConnection[Any], since: int | datetime, head: int) -> int:
    if isinstance(since, int):
        return since
    return await last_before(connection, since, head) + 1


async def _last(connection: AsyncConnection[Any], until: int | datetime, head: int) -> int:
    return until if isinstance(until, int) else await last_before(connection, until, head)


def _sums(sums: Sums) -> ToldSums:
    return ToldSums(
        calls=sums.calls,
        raised_calls=sums.raised_calls,
        lowered_calls=sums.lowered_calls,
        before=format_usd(sums.paid_nanos),
        after=format_usd(sums.paid_nanos + sums.delta_nanos),
        difference=format_usd(sums.delta_nanos),
        raised=format_usd(sums.raised_nanos),
        lowered=format_usd(sums.lowered_nanos),
    )


def _call(repriced: Repriced) -> ToldCall:
    call, delta = repriced.call, repriced.delta_nanos
    return ToldCall(
        request=call.charge_id,
        account=call.account_id,
        model=call.terms.model,
        before=format_usd(call.paid_nanos),
        after=format_usd(call.paid_nanos + delta),
        difference=format_usd(delta),
        lines_before=_lines(call.lines),
        lines_after=_lines(repriced.lines),
    )


def _lines(lines: Sequence[Line]) -> list[ToldLine]:
    return [
        ToldLine(line.kind, line.units, format_usd(line.price_nanos), line.per_units)
        for line in lines
    ]
