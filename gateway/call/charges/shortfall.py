"""What a customer is told whose call is not covered: what fell short, by how much, till when."""

from gateway.errors import InsufficientQuota
from ledger.book_days import BookDays
from ledger.errors import OverBudget
from ledger.money import format_usd
from ledger.streams.charge.rules import Reserve
from ledger.windows import span_of


def insufficient(error: OverBudget, command: Reserve, days: BookDays) -> InsufficientQuota:
    """The refusal of a hold."""
    refusal = InsufficientQuota(
        f"{_what_is_short(error, command, days)} ${format_usd(error.available_nanos)} available, "
        f"${format_usd(error.needed_nanos)} needed"
    )
    refusal.available_nanos = error.available_nanos
    return refusal


def _what_is_short(error: OverBudget, command: Reserve, days: BookDays) -> str:
    cover = command.cover
    if error.scope == cover.account_id:
        return f"not covered: the balance of account {error.scope} has"
    if error.scope == cover.key_id:
        return f"not covered: the limit of API key {error.scope} has"
    span = span_of(error.scope, cover.account_id, command.admitted_at_us, days)
    if span is None:  # its time passed while it was asked for
        return f"not covered: a limit of account {cover.account_id} has"
    end = span.ends_at.isoformat(timespec="minutes")
    return (
        f"not covered: the limit of account {cover.account_id} for the {span.period} "
        f"that ends at {end} has"
    )
