"""The tables that an export may hold: their columns, and the rows that an event gives.

A text is never absent; every other value may be None. Amounts stand twice in a row: as whole
nanodollars, which are exact everywhere, and in USD for people.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Literal, NamedTuple, Self
from uuid import UUID

import msgspec

from ledger.export.selection import What
from ledger.export.source import Stored
from ledger.streams.charge.events import (
    ChargeAdjusted,
    LateUsage,
    RefundIssued,
    UsageSettled,
    paid_tries,
)
from ledger.usage import CLASSES, Usage

Kind = Literal["integer", "nanos", "usd", "moment", "word", "text", "id", "json", "digest"]
"""What a value is in a row of Python:

integer, nanos: int · usd: int, of nanodollars · moment: datetime in UTC · word: str, one of few ·
text: str · id: UUID · json: str · digest: bytes
"""

Row = tuple[object, ...]


class Column(NamedTuple):
    """One column, and what it says."""

    name: str
    kind: Kind
    meaning: str


class Posted(NamedTuple):
    """A row of the table `postings`, in the order of its columns."""

    position: int
    recorded_at: datetime
    leg: int
    topic: str
    stream_id: UUID
    version: int
    account_id: UUID | None
    ledger_account: str
    amount_nanos: int
    amount_usd: int

    @classmethod
    def of(cls, row: Row) -> Self:
        """The row, known by its names."""
        return cls(*row)  # type: ignore[arg-type]


class Table(NamedTuple):
    """One table; `rows` gives those of one event."""

    columns: tuple[Column, ...]
    rows: Callable[[Stored], Iterator[Row]]


def moment_text(moment: datetime) -> str:
    """RFC 3339 in UTC with microseconds."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


_PLACE = (
    Column("position", "integer", "the event's place in the log"),
    Column("recorded_at", "moment", "when the database stored it, UTC"),
)


def _event_rows(stored: Stored) -> Iterator[Row]:
    one = stored.recorded
    yield (
        one.position,
        one.recorded_at,
        one.stream_id,
        one.version,
        one.topic,
        one.account_id,
        one.account_seq,
        stored.state.decode(),
        stored.leaf,
    )


def _posting_rows(stored: Stored) -> Iterator[Row]:
    one = stored.recorded
    for number, (account, amount_nanos) in enumerate(stored.postings(), 1):
        yield Posted(
            one.position,
            one.recorded_at,
            number,
            one.topic,
            one.stream_id,
            one.version,
            one.account_id,
            account,
            amount_nanos,
            amount_nanos,
        )


def _charge_rows(stored: Stored) -> Iterator[Row]:
    event = stored.recorded.event
    if isinstance(event, UsageSettled):
        yield _charge_row(stored, event, "settled", event.ending, event.charged_nanos)
    elif isinstance(event, RefundIssued):
        yield _charge_row(stored, event, "refunded", event.reason, 0)
    elif isinstance(event, ChargeAdjusted):
        yield _charge_row(stored, event, "adjusted", event.reason, event.delta_nanos)


def _charge_row(
    stored: Stored,
    event: UsageSettled | RefundIssued | ChargeAdjusted,
    outcome: str,
    reason: str,
    charged_nanos: int,
) -> Row:
    one, terms = stored.recorded, event.terms
    settled = event if isinstance(event, UsageSettled) else None
    answered = _answered(event)
    named = event if isinstance(event, ChargeAdjusted) and answered is None else answered
    cost = None if answered is None else answered.cost
    usage = None if isinstance(event, RefundIssued) else event.usage
    lines = () if isinstance(event, RefundIssued) else event.lines
    service = None if answered is None else answered.service
    tried_nanos = sum(paid.amount_nanos for _, paid in paid_tries(event.attempts))
    return (
        one.position,
        one.recorded_at,
        one.stream_id,
        one.version,
        one.account_id,
        event.key_id,
        outcome,
        reason,
        terms.model,
        terms.group,
        terms.service if service is None else service,
        terms.price_version,
        terms.multiplier.numerator,
        terms.multiplier.denominator,
        charged_nanos,
        charged_nanos,
        0 if settled is None else settled.shortfall_nanos,
        0 if isinstance(event, ChargeAdjusted) else event.released_nanos,
        None if cost is None else cost.amount_nanos,
        None if cost is None else cost.amount_nanos,
        "" if cost is None else cost.book,
        None if cost is None else cost.price_version,
        None if named is None else named.channel_id,
        "" if named is None else named.upstream_model,
        "" if settled is None else settled.basis,
        "" if settled is None else settled.anomaly,
        *_counts(usage),
        msgspec.json.encode(lines).decode(),
        None if settled is None else settled.ttft_ms,
        None if isinstance(event, ChargeAdjusted) else event.duration_ms,
        tried_nanos,
        tried_nanos,
    )


def _answered(
    event: UsageSettled | RefundIssued | ChargeAdjusted,
) -> UsageSettled | LateUsage | None:
    """Where it stands who answered, and what that costs; None where nobody did, or not now."""
    match event:
        case UsageSettled():
            return event
        case ChargeAdjusted(late=late):
            return late
        case _:
            return None


def _counts(usage: Usage | None) -> tuple[int, ...]:
    return tuple(count for _, count in (usage or Usage()).classes())


_EVENTS = Table(
    (
        *_PLACE,
        Column("stream_id", "id", "the stream it belongs to"),
        Column("version", "integer", "its place in that stream"),
        Column("topic", "word", "the type of event"),
        Column("account_id", "id", "whose it is, if anybody's"),
        Column("account_seq", "integer", "its place among that account's events"),
        Column("state", "json", "the event, byte for byte as it is stored"),
        Column("leaf", "digest", "its SHA-256, as in ledger/leaf.py"),
    ),
    _event_rows,
)
_POSTINGS = Table(
    (
        *_PLACE,
        Column("leg", "integer", "its number among the postings of its event"),
        Column("topic", "word", "the type of event"),
        Column("stream_id", "id", "the event's stream; of a charge it is the request's id"),
        Column("version", "integer", "the event's place in its stream"),
        Column("account_id", "id", "the customer's account"),
        Column("ledger_account", "word", "the account that is credited or debited"),
        Column("amount_nanos", "nanos", "positive: a credit; the legs of an event sum to zero"),
        Column("amount_usd", "usd", "the same, in USD"),
    ),
    _posting_rows,
)
_CHARGES = Table(
    (
        *_PLACE,
        Column("charge_id", "id", "the request's id"),
        Column("version", "integer", "the event's place in its stream"),
        Column("account_id", "id", "who pays"),
        Column("key_id", "id", "the API key"),
        Column("outcome", "word", "settled, refunded (nothing was charged) or adjusted later"),
        Column("reason", "word", "how it ended, or why it was refunded or adjusted"),
        Column("model", "word", "as the client named it"),
        Column("price_group", "word", "whose multiplier it was charged with"),
        Column("service", "word", "batch, flex, priority; empty: the standard one"),
        Column("price_version", "integer", "of the model's price"),
        Column("multiplier_numerator", "integer", "of the group's multiplier"),
        Column("multiplier_denominator", "integer", "of the group's multiplier"),
        Column(
            "charged_nanos", "nanos", "what the customer pays; of an adjustment, the difference"
        ),
        Column("charged_usd", "usd", "the same, in USD"),
        Column("shortfall_nanos", "nanos", "what it cost beyond what was covered; nobody pays it"),
        Column("released_nanos", "nanos", "the hold that ended with it"),
        Column("cost_nanos", "nanos", "what the provider takes, where a cost price is known"),
        Column("cost_usd", "usd", "the same, in USD"),
        Column("cost_book", "word", "the book of cost prices"),
        Column("cost_price_version", "integer", "of the cost price"),
        Column("channel_id", "id", "the channel that answered"),
        Column("upstream_model", "word", "as the provider names it"),
        Column("basis", "word", "measured by the provider, or estimated by us"),
        Column("anomaly", "word", "what was odd about the provider's usage"),
        *(Column(name, "integer", "units of this class") for name in CLASSES),
        Column("lines", "json", "what the amount was computed from, see ledger/README.md"),
        Column("ttft_ms", "integer", "until the first token"),
        Column("duration_ms", "integer", "until the end"),
        Column("tries_cost_nanos", "nanos", "what providers take for tries that nobody pays for"),
        Column("tries_cost_usd", "usd", "the same, in USD"),
    ),
    _charge_rows,
)

TABLES: Mapping[What, Table] = {"events": _EVENTS, "postings": _POSTINGS, "charges": _CHARGES}
