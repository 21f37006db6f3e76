"""What can happen to a charge. Every event states what it takes to fold it alone.

`QuotaReserved` opens it (again: the hold grows), exactly one of `UsageSettled` and `RefundIssued`
closes it, `ChargeAdjusted` corrects it afterwards.
"""

from collections.abc import Sequence
from typing import ClassVar, Literal
from uuid import UUID

import msgspec

from ledger.pricing import STANDARD, Line, Multiplier
from ledger.streams.contract import AccountEvent
from ledger.usage import Usage

Basis = Literal["measured", "estimated"]
AdjustmentReason = Literal["refund", "late_usage", "reprice", "dispute"]


class Window(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A spending window the call falls into, and what may be spent in it."""

    scope: UUID
    cap_nanos: int


class Cost(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What the call costs us: under which version of which book, in nanodollars."""

    book: str
    price_version: int
    amount_nanos: int


class Cover(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who pays, and the caps under which the database may store a hold."""

    account_id: UUID
    key_id: UUID
    overdraft_nanos: int = 0
    key_limit_nanos: int | None = None
    windows: tuple[Window, ...] = ()


class Terms(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What was frozen at admission: a later change of price or group does not touch this call."""

    model: str
    group: str
    price_version: int
    multiplier: Multiplier = Multiplier()
    service: str = STANDARD


class Attempt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One try at one channel. `outcome`: answered, refused, failed, timeout, cut.

    `usage`: what it used without a charge for it, where that is known: the channel is paid all the
    same, `cost` says what, by the price of `upstream_model`. `service` as in `UsageSettled`. Usage
    that is charged stands in the settlement itself, and not here.
    """

    channel_id: UUID
    outcome: str
    status: int = 0
    ttft_ms: int | None = None
    duration_ms: int = 0
    usage: Usage | None = None
    basis: Basis = "measured"
    upstream_model: str = ""
    service: str | None = None
    cost: Cost | None = None
    anomaly: str = ""


class QuotaReserved(AccountEvent, frozen=True, kw_only=True, omit_defaults=True):
    """`hold_nanos` more are held; the database stored it only because every cap allowed it.

    `tool_calls_max`: how many calls of the provider's own tools it covers, by class of usage.
    """

    TOPIC: ClassVar[str] = "charge.QuotaReserved.v1"

    key_id: UUID
    hold_nanos: int
    overdraft_nanos: int = 0
    key_limit_nanos: int | None = None
    windows: tuple[Window, ...] = ()
    terms: Terms
    admitted_at_us: int
    node: str
    boot: UUID
    dialect: str
    streaming: bool = False
    input_tokens_estimated: int = 0
    output_tokens_max: int = 0
    tool_calls_max: dict[str, int] = msgspec.field(default_factory=dict)


class UsageSettled(AccountEvent, frozen=True, kw_only=True, omit_defaults=True):
    """The call was delivered, or part of it: what was used, what it costs, what was released.

    charged_nanos + shortfall_nanos is the cost of `lines` under `terms.multiplier`, unless that is
    beyond range: then shortfall_nanos is MEMO_NANOS_MAX. `service`: the one that answered, where it
    is not that of the terms. `cost`: what the provider takes for it.
    """

    TOPIC: ClassVar[str] = "charge.UsageSettled.v1"

    key_id: UUID
    released_nanos: int
    charged_nanos: int
    shortfall_nanos: int = 0
    windows: tuple[UUID, ...] = ()
    terms: Terms
    usage: Usage
    lines: tuple[Line, ...]
    service: str | None = None
    cost: Cost | None = None
    basis: Basis
    ending: str
    channel_id: UUID
    upstream_model: str
    attempts: tuple[Attempt, ...] = ()
    anomaly: str = ""
    ttft_ms: int | None = None
    duration_ms: int = 0
    node: str
    boot: UUID


class RefundIssued(AccountEvent, frozen=True, kw_only=True, omit_defaults=True):
    """Nothing was charged; the whole hold was released. The reason is a code, not prose."""

    TOPIC: ClassVar[str] = "charge.RefundIssued.v1"

    key_id: UUID
    released_nanos: int
    windows: tuple[UUID, ...] = ()
    terms: Terms
    reason: str
    attempts: tuple[Attempt, ...] = ()
    duration_ms: int = 0
    node: str
    boot: UUID


class LateUsage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who answered a call that others had closed meanwhile, as in its `UsageSettled`."""

    channel_id: UUID
    upstream_model: str
    service: str | None = None
    cost: Cost | None = None


class ChargeAdjusted(AccountEvent, frozen=True, kw_only=True, omit_defaults=True):
    """A closed charge was corrected. Positive `delta_nanos`: the customer pays more.

    `usage`, `lines` and `late` are those of usage that came late, which is stored only where the
    account, with `overdraft_nanos`, covers it; everything else is stored always. Of a repricing,
    `lines` are those of the other price. `channel_id` and `upstream_model`: who answered the call,
    where it was answered and `late` does not say it; earlier releases did not tell. `attempts`:
    those of a call that others had closed meanwhile, with what they used without a charge.
    """

    TOPIC: ClassVar[str] = "charge.ChargeAdjusted.v1"

    key_id: UUID
    adjustment_id: UUID
    delta_nanos: int
    windows: tuple[UUID, ...] = ()
    terms: Terms
    reason: AdjustmentReason
    usage: Usage | None = None
    lines: tuple[Line, ...] = ()
    late: LateUsage | None = None
    overdraft_nanos: int | None = None
    channel_id: UUID | None = None
    upstream_model: str = ""
    attempts: tuple[Attempt, ...] = ()
    actor: str


def paid_tries(attempts: Sequence[Attempt]) -> list[tuple[Attempt, Cost]]:
    """The tries that cost us something and are charged to nobody, each with its cost."""
    return [(attempt, attempt.cost) for attempt in attempts if attempt.cost is not None]


ChargeEvent = QuotaReserved | UsageSettled | RefundIssued | ChargeAdjusted
