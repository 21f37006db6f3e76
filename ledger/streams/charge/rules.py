"""The rules of a charge: which commands give which events, and what state those leave."""

from typing import assert_never
from uuid import UUID

import msgspec

from ledger.errors import AlreadyClosed, NotReserved
from ledger.pricing import Line, Price, charge_nanos, price_lines
from ledger.streams.charge.billing import bill
from ledger.streams.charge.effects import effects, postings
from ledger.streams.charge.events import (
    AdjustmentReason,
    Attempt,
    Basis,
    ChargeAdjusted,
    ChargeEvent,
    Cost,
    Cover,
    LateUsage,
    QuotaReserved,
    RefundIssued,
    Terms,
    UsageSettled,
)
from ledger.streams.contract import Event, Stream
from ledger.usage import Usage


class Reserve(msgspec.Struct, frozen=True):
    """Hold the worst case of a call before anything is sent."""

    hold_nanos: int
    cover: Cover
    terms: Terms
    admitted_at_us: int
    node: str
    boot: UUID
    dialect: str
    streaming: bool = False
    input_tokens_estimated: int = 0
    output_tokens_max: int = 0
    tool_calls_max: dict[str, int] = msgspec.field(default_factory=dict)


class Extend(msgspec.Struct, frozen=True):
    """Hold more, while the call goes on."""

    hold_nanos: int


class Settle(msgspec.Struct, frozen=True):
    """Close with what was used. `covered_nanos`: how much above the hold is covered, as far as the
    database has told; None where it was not asked yet, 0 where it is not to be asked for more.

    `service`: the one that answered, priced in `price`; None if it is that of the terms.
    """

    usage: Usage
    price: Price
    basis: Basis
    ending: str
    channel_id: UUID
    upstream_model: str
    node: str
    boot: UUID
    attempts: tuple[Attempt, ...] = ()
    anomaly: str = ""
    ttft_ms: int | None = None
    duration_ms: int = 0
    covered_nanos: int | None = None
    service: str | None = None
    cost: Cost | None = None


class Refund(msgspec.Struct, frozen=True):
    """Close without a charge."""

    reason: str
    node: str
    boot: UUID
    attempts: tuple[Attempt, ...] = ()
    duration_ms: int = 0


class Adjust(msgspec.Struct, frozen=True):
    """Correct a closed charge. `overdraft_nanos`: only as far as the account covers it."""

    adjustment_id: UUID
    delta_nanos: int
    reason: AdjustmentReason
    actor: str
    usage: Usage | None = None
    lines: tuple[Line, ...] = ()
    late: LateUsage | None = None
    overdraft_nanos: int | None = None
    attempts: tuple[Attempt, ...] = ()


Command = Reserve | Extend | Settle | Refund | Adjust


class Charge(msgspec.Struct, frozen=True):
    """The fold of one charge stream."""

    version: int = 0
    opening: QuotaReserved | None = None
    held_nanos: int = 0
    charged_nanos: int = 0
    is_closed: bool = False
    adjustments: frozenset[UUID] = frozenset()
    channel_id: UUID | None = None
    upstream_model: str = ""
    refund_reason: str = ""


def decide(state: Charge, command: Command) -> tuple[Event, ...]:
    """The events that answer a command.

    Raises NotReserved, AlreadyClosed. Settling above the hold gives two events, to be appended as
    one group: the hold grows by the difference, then everything is settled.
    """
    match command:
        case Reserve():
            if state.opening is not None:
                raise AlreadyClosed("this charge id is in use")
            return (_reserved(command),)
        case Extend():
            return (_grown(_open(state), command.hold_nanos),)
        case Settle():
            return _settled(state, _open(state), command)
        case Refund():
            return (_refunded(state, _open(state), command),)
        case Adjust():
            return _adjusted(state, command)
        case _:
            assert_never(command)


def evolve(state: Charge, event: ChargeEvent) -> Charge:
    """The state after an event; never refuses what already happened."""
    version = state.version + 1
    match event:
        case QuotaReserved():
            return Charge(
                version, state.opening or event, state.held_nanos + event.hold_nanos, 0, False
            )
        case UsageSettled():
            held = state.held_nanos - event.released_nanos
            return Charge(
                version,
                state.opening,
                held,
                event.charged_nanos,
                True,
                channel_id=event.channel_id,
                upstream_model=event.upstream_model,
            )
        case RefundIssued():
            held = state.held_nanos - event.released_nanos
            return Charge(version, state.opening, held, 0, True, refund_reason=event.reason)
        case ChargeAdjusted(late=late):
            answered = state if late is None else late
            return Charge(
                version,
                state.opening,
                state.held_nanos,
                state.charged_nanos + event.delta_nanos,
                state.is_closed,
                state.adjustments | {event.adjustment_id},
                answered.channel_id,
                answered.upstream_model,
                state.refund_reason,
            )
        case _:
            assert_never(event)


def lines_of(settle: Settle, terms: Terms) -> tuple[Line, ...]:
    """The lines of a settlement, in the service that answered. Raises UnpricedService."""
    service = terms.service if settle.service is None else settle.service
    return price_lines(settle.usage, settle.price, service)


def late_usage(settle: Settle) -> LateUsage:
    """Who answered, where a settlement comes after others have closed the charge."""
    return LateUsage(
        channel_id=settle.channel_id,
        upstream_model=settle.upstream_model,
        service=settle.service,
        cost=settle.cost,
    )


def uncharged_attempts(settle: Settle, terms: Terms) -> tuple[Attempt, ...]:
    """The attempts of a settlement that comes to nothing: whoever answered is paid all the same."""
    if not settle.attempts:
        return ()
    *earlier, last = settle.attempts
    answered = msgspec.structs.replace(
        last,
        usage=settle.usage,
        basis=settle.basis,
        upstream_model=settle.upstream_model,
        service=None if settle.service == terms.service else settle.service,
        cost=settle.cost,
        anomaly=settle.anomaly,
    )
    return (*earlier, answered)


def _open(state: Charge) -> QuotaReserved:
    if state.opening is None:
        raise NotReserved("nothing is held under this charge id")
    if state.is_closed:
        raise AlreadyClosed("the charge has its closing event")
    return state.opening


def _reserved(command: Reserve) -> QuotaReserved:
    assert command.hold_nanos >= 0
    cover = command.cover
    return QuotaReserved(
        account_id=cover.account_id,
        key_id=cover.key_id,
        hold_nanos=command.hold_nanos,
        overdraft_nanos=cover.overdraft_nanos,
        key_limit_nanos=cover.key_limit_nanos,
        windows=cover.windows,
        terms=command.terms,
        admitted_at_us=command.admitted_at_us,
        node=command.node,
        boot=command.boot,
        dialect=command.dialect,
        streaming=command.streaming,
        input_tokens_estimated=command.input_tokens_estimated,
        output_tokens_max=command.output_tokens_max,
        tool_calls_max=command.tool_calls_max,
    )


def _grown(opening: QuotaReserved, hold_nanos: int) -> QuotaReserved:
    assert hold_nanos > 0
    return msgspec.structs.replace(opening, hold_nanos=hold_nanos)


def _settled(state: Charge, opening: QuotaReserved, command: Settle) -> tuple[Event, ...]:
    lines = lines_of(command, opening.terms)
    cost = charge_nanos(lines, opening.terms.multiplier)
    billed = bill(cost, state.held_nanos, command.covered_nanos)
    settled = UsageSettled(
        account_id=opening.account_id,
        key_id=opening.key_id,
        released_nanos=state.held_nanos + billed.excess_nanos,
        charged_nanos=billed.charged_nanos,
        shortfall_nanos=billed.shortfall_nanos,
        windows=_scopes(opening),
        terms=opening.terms,
        usage=command.usage,
        lines=lines,
        service=None if command.service == opening.terms.service else command.service,
        cost=command.cost,
        basis=command.basis,
        ending=command.ending,
        channel_id=command.channel_id,
        upstream_model=command.upstream_model,
        attempts=command.attempts,
        anomaly=",".join(filter(None, (command.anomaly, billed.anomaly))),
        ttft_ms=command.ttft_ms,
        duration_ms=command.duration_ms,
        node=command.node,
        boot=command.boot,
    )
    assert settled.charged_nanos <= settled.released_nanos
    excess = billed.excess_nanos
    return (_grown(opening, excess), settled) if excess else (settled,)


def _refunded(state: Charge, opening: QuotaReserved, command: Refund) -> RefundIssued:
    return RefundIssued(
        account_id=opening.account_id,
        key_id=opening.key_id,
        released_nanos=state.held_nanos,
        windows=_scopes(opening),
        terms=opening.terms,
        reason=command.reason,
        attempts=command.attempts,
        duration_ms=command.duration_ms,
        node=command.node,
        boot=command.boot,
    )


def _adjusted(state: Charge, command: Adjust) -> tuple[Event, ...]:
    opening = state.opening
    if opening is None or not state.is_closed:
        raise NotReserved("only a closed charge can be adjusted")
    if command.adjustment_id in state.adjustments:
        return ()
    # A charge is never corrected below nothing: what was not charged cannot be given back.
    delta = max(command.delta_nanos, -state.charged_nanos)
    return (
        ChargeAdjusted(
            account_id=opening.account_id,
            key_id=opening.key_id,
            adjustment_id=command.adjustment_id,
            delta_nanos=delta,
            windows=_scopes(opening),
            terms=opening.terms,
            reason=command.reason,
            usage=command.usage,
            lines=command.lines,
            late=command.late,
            overdraft_nanos=command.overdraft_nanos,
            channel_id=state.channel_id if command.late is None else None,
            upstream_model=state.upstream_model if command.late is None else "",
            attempts=command.attempts,
            actor=command.actor,
        ),
    )


def _scopes(opening: QuotaReserved) -> tuple[UUID, ...]:
    return tuple(window.scope for window in opening.windows)


STREAM = Stream(
    name="charge",
    events=(QuotaReserved, UsageSettled, RefundIssued, ChargeAdjusted),
    initial=Charge,
    decide=decide,
    evolve=evolve,
    effects=effects,
    postings=postings,
    closing=(UsageSettled, RefundIssued),
)
