"""What the events of a charge do to money: to the budgets that decide, and in the double entry."""

from collections.abc import Sequence
from typing import assert_never

from ledger.streams.charge.events import (
    Attempt,
    ChargeAdjusted,
    ChargeEvent,
    Cost,
    QuotaReserved,
    RefundIssued,
    UsageSettled,
    paid_tries,
)
from ledger.streams.contract import Effect, Posting


def effects(event: ChargeEvent) -> tuple[Effect, ...]:
    """What the event does to the budgets of its account, its key and its windows."""
    match event:
        case QuotaReserved():
            hold = event.hold_nanos
            return (
                # Holding nothing needs no cover: a free call of an account below zero may pass.
                Effect(event.account_id, hold, 0, event.overdraft_nanos if hold else None),
                Effect(event.key_id, hold, 0, event.key_limit_nanos if hold else None),
                *(Effect(w.scope, hold, 0, w.cap_nanos if hold else None) for w in event.windows),
            )
        case UsageSettled():
            return _everywhere(event, -event.released_nanos, -event.charged_nanos)
        case RefundIssued():
            return _everywhere(event, -event.released_nanos, 0)
        case ChargeAdjusted():
            of_account, *others = _everywhere(event, 0, -event.delta_nanos)
            return (of_account._replace(cap_nanos=event.overdraft_nanos), *others)
        case _:
            assert_never(event)


def postings(event: ChargeEvent) -> tuple[Posting, ...]:
    """The balanced double entry of an event."""
    match event:
        case QuotaReserved(hold_nanos=hold):
            return (Posting("customer:available", -hold), Posting("customer:held", hold))
        case UsageSettled(released_nanos=released, charged_nanos=charged):
            return (
                Posting("customer:held", -released),
                Posting("customer:available", released - charged),
                Posting("revenue", charged),
                *_provider_cost(event.cost, event.attempts),
            )
        case RefundIssued(released_nanos=released, attempts=attempts):
            return (
                Posting("customer:held", -released),
                Posting("customer:available", released),
                *_provider_cost(None, attempts),
            )
        case ChargeAdjusted(delta_nanos=delta):
            return (
                Posting("customer:available", -delta),
                Posting("revenue", delta),
                *_provider_cost(event.late.cost if event.late else None, event.attempts),
            )
        case _:
            assert_never(event)


def _provider_cost(cost: Cost | None, attempts: Sequence[Attempt]) -> tuple[Posting, ...]:
    """What providers take for a call: for the answer, and for tries that nobody is charged for."""
    amount_nanos = 0 if cost is None else cost.amount_nanos
    amount_nanos += sum(paid.amount_nanos for _, paid in paid_tries(attempts))
    if not amount_nanos:
        return ()
    return (
        Posting("provider_cost", -amount_nanos),
        Posting("clearing:providers", amount_nanos),
    )


def _everywhere(
    event: UsageSettled | RefundIssued | ChargeAdjusted, held_nanos: int, posted_nanos: int
) -> tuple[Effect, ...]:
    scopes = (event.account_id, event.key_id, *event.windows)
    return tuple(Effect(scope, held_nanos, posted_nanos) for scope in scopes)
