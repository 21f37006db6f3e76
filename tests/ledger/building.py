"""Readable givens: charges, credits, and one sample of every event there is."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec

from ledger import clock
from ledger.alternative import Alternative, Question
from ledger.ids import charge_id, entity_id
from ledger.pricing import Line, LongContext, Multiplier, Price, Schedule
from ledger.store.append import NewEvent
from ledger.streams.account import (
    AccountOpened,
    AccountResumed,
    AccountSuspended,
    LimitsSet,
    SpendingLimits,
)
from ledger.streams.adjustment import (
    AdjustmentApproved,
    AdjustmentPosted,
    AdjustmentProposed,
    AdjustmentRejected,
    Correction,
    ProposedCredit,
    Reversed,
)
from ledger.streams.api_key import KeyChanged, KeyIssued, KeyRevoked, KeyTerms
from ledger.streams.channel import (
    ChannelAdded,
    ChannelChanged,
    ChannelKeyStateChanged,
    ChannelPaused,
    ChannelRemoved,
    ChannelResumed,
)
from ledger.streams.charge import rules
from ledger.streams.charge.events import (
    Attempt,
    ChargeAdjusted,
    Cost,
    Cover,
    LateUsage,
    QuotaReserved,
    RefundIssued,
    Terms,
    UsageSettled,
    Window,
)
from ledger.streams.contract import Event
from ledger.streams.credit import Alone, CreditGranted
from ledger.streams.group import GroupSet
from ledger.streams.price import Decision, PriceSet, price_stream_id
from ledger.streams.restore import BackupRestored
from ledger.streams.routes import Route
from ledger.streams.seal import CheckpointSealed, SigningKeyIntroduced
from ledger.streams.setting import SettingChanged
from ledger.streams.user import (
    IdentityLinked,
    IdentityUnlinked,
    RoleChanged,
    SubjectErased,
    UserDisabled,
    UserEnabled,
    UserRegistered,
)
from ledger.usage import Usage

BOOT = UUID(int=7)
CHANNEL = UUID(int=8)
TERMS = Terms(model="m", group="default", price_version=1)
ONE_NANO_PER_TOKEN = Price(rates={"input": 1_000_000})


@dataclass(frozen=True, slots=True)
class Payer:
    """An account with one key."""

    account_id: UUID
    key_id: UUID

    def cover(self, **changes: Any) -> Cover:  # noqa: ANN401 - the fields of Cover
        return Cover(account_id=self.account_id, key_id=self.key_id, **changes)


def payer() -> Payer:
    return Payer(entity_id(), entity_id())


def opened(paying: Payer) -> list[NewEvent]:
    """The account, and its key: what a payer has to be where the log is checked."""
    account_id, key_id = paying.account_id, paying.key_id
    issued = KeyIssued(
        account_id=account_id,
        key_id=key_id,
        sha256="0" * 64,
        prefix="sk-",
        last_four="beef",
        terms=KeyTerms(),
        actor="test",
    )
    return [
        NewEvent(
            account_id, 1, AccountOpened(account_id=account_id, group="default", actor="test")
        ),
        NewEvent(key_id, 1, issued),
    ]


def priced() -> NewEvent:
    """What `TERMS` name: the first price of the model "m"."""
    event = PriceSet(model="m", price=ONE_NANO_PER_TOKEN, effective_from_us=0, actor="test")
    return NewEvent(price_stream_id("m"), 1, event)


def credit(account_id: UUID, amount_nanos: int, stream_id: UUID | None = None) -> NewEvent:
    granted = CreditGranted(
        account_id=account_id,
        amount_nanos=amount_nanos,
        source="manual",
        request_sha256="0" * 64,
        actor="test",
    )
    return NewEvent(stream_id or entity_id(), 1, granted)


def reserve(cover: Cover, hold_nanos: int, terms: Terms = TERMS) -> rules.Reserve:
    return rules.Reserve(
        hold_nanos=hold_nanos,
        cover=cover,
        terms=terms,
        admitted_at_us=clock.now_us(),
        node="node",
        boot=BOOT,
        dialect="openai_chat",
    )


def settle(usage: Usage, price: Price = ONE_NANO_PER_TOKEN, **changes: Any) -> rules.Settle:  # noqa: ANN401
    return rules.Settle(
        usage=usage,
        price=price,
        basis="measured",
        ending="complete",
        channel_id=CHANNEL,
        upstream_model="m",
        node="node",
        boot=BOOT,
        **changes,
    )


def refund() -> rules.Refund:
    return rules.Refund(reason="upstream_failed", node="node", boot=BOOT)


class Call:
    """One charge stream as its own call sees it: commands give the events to append next."""

    def __init__(self) -> None:
        self.stream_id = charge_id()
        self.state = rules.Charge()

    def next(self, command: rules.Command) -> list[NewEvent]:
        """Decide, and take the events for stored."""
        events = rules.decide(self.state, command)
        first = self.state.version + 1
        for event in events:
            assert isinstance(event, QuotaReserved | UsageSettled | RefundIssued | ChargeAdjusted)
            self.state = rules.evolve(self.state, event)
        return [NewEvent(self.stream_id, first + n, event) for n, event in enumerate(events)]


def samples() -> list[Event]:
    """One event of every type, with every optional field set."""
    account, key, user = entity_id(), entity_id(), entity_id()
    return [
        *_charge(account, key),
        *_accounts(account, key),
        *_users(user),
        *_desk(account),
        *_adjustments(account),
        *_seals(),
    ]


def _charge(account: UUID, key: UUID) -> list[Event]:
    window = Window(entity_id(), 1_000)
    terms = Terms(
        model="a/b", group="vip", price_version=3, multiplier=Multiplier(3, 2), service="flex"
    )
    line = Line(kind="output", units=5, price_nanos=7, per_units=1_000_000)
    usage = Usage(input=1, cache_read=2, output=5, reasoning=3, calls=1)
    cost = Cost(book="cost", price_version=2, amount_nanos=3)
    attempt = Attempt(
        channel_id=CHANNEL,
        outcome="failed",
        status=500,
        ttft_ms=1,
        duration_ms=2,
        usage=usage,
        basis="estimated",
        upstream_model="m",
        service="batch",
        cost=cost,
        anomaly="usage_implausible",
    )
    cover = Cover(
        account_id=account, key_id=key, overdraft_nanos=100, key_limit_nanos=99, windows=(window,)
    )
    common: dict[str, Any] = {
        "account_id": account,
        "key_id": key,
        "windows": (window.scope,),
        "terms": terms,
    }
    place: dict[str, Any] = {"node": "node", "boot": BOOT, "attempts": (attempt,), "duration_ms": 9}
    (reserved,) = rules.decide(rules.Charge(), reserve(cover, 10, terms))
    return [
        msgspec.structs.replace(reserved, tool_calls_max={"web_search": 8}),
        UsageSettled(
            **common,
            **place,
            released_nanos=10,
            charged_nanos=4,
            shortfall_nanos=1,
            usage=usage,
            lines=(line,),
            service="batch",
            cost=cost,
            basis="measured",
            ending="complete",
            channel_id=CHANNEL,
            upstream_model="m",
            anomaly="usage_above_hold",
            ttft_ms=3,
        ),
        RefundIssued(**common, **place, released_nanos=10, reason="node_lost"),
        ChargeAdjusted(
            **common,
            adjustment_id=entity_id(),
            delta_nanos=-3,
            reason="dispute",
            usage=usage,
            lines=(line,),
            late=LateUsage(
                channel_id=CHANNEL,
                upstream_model="m",
                service="flex",
                cost=cost,
            ),
            overdraft_nanos=100,
            channel_id=CHANNEL,
            upstream_model="m",
            attempts=(attempt,),
            actor="a",
        ),
    ]


def _accounts(account: UUID, key: UUID) -> list[Event]:
    limits = SpendingLimits(overdraft_nanos=1, day_nanos=2, week_nanos=3, month_nanos=4)
    terms = KeyTerms(
        limit_nanos=5, expires_at_us=6, models=("m",), allowed_ips=("10.0.0.0/8",), group="vip"
    )
    return [
        CreditGranted(
            proposal=entity_id(),
            alone=Alone(scope=entity_id(), cap_nanos=5),
            account_id=account,
            amount_nanos=5,
            source="top_up",
            method="stripe",
            reference="pi_1",
            request_sha256="0" * 64,
            actor="a",
        ),
        AccountOpened(account_id=account, group="vip", actor="a"),
        LimitsSet(account_id=account, limits=limits, group="vip", actor="a", reason="r"),
        AccountSuspended(account_id=account, actor="a", reason="r"),
        AccountResumed(account_id=account, actor="a", reason="r"),
        KeyIssued(
            account_id=account,
            key_id=key,
            sha256="0" * 64,
            prefix="tg-",
            last_four="abcd",
            terms=terms,
            actor="a",
        ),
        KeyChanged(account_id=account, key_id=key, terms=terms, actor="a", reason="r"),
        KeyRevoked(account_id=account, key_id=key, actor="a", reason="r"),
    ]


def _users(user: UUID) -> list[Event]:
    return [
        UserRegistered(user_id=user, role="root", actor="a"),
        RoleChanged(user_id=user, role="auditor", actor="a", reason="r"),
        IdentityLinked(user_id=user, method="token", subject="0" * 64, actor="a"),
        IdentityUnlinked(user_id=user, method="token", subject="0" * 64, actor="a", reason="r"),
        UserDisabled(user_id=user, actor="a", reason="r"),
        UserEnabled(user_id=user, actor="a", reason="r"),
        SubjectErased(user_id=user, actor="a", reason="r"),
    ]


def _desk(channel: UUID) -> list[Event]:
    key = entity_id()
    route = Route(
        type="openai",
        base_url="https://provider.invalid",
        models={"b": "x", "a": "y"},
        groups=("vip",),
        priority=2,
        weight=3,
        key_ids=(key,),
    )
    long = LongContext(above_tokens=200_000, rates={"input": 2})
    flex = Schedule(rates={"input": 1, "output": 1}, long_context=(long,))
    price = Price(rates={"output": 2, "input": 1}, long_context=(long,), services={"flex": flex})
    return [
        ChannelAdded(channel_id=channel, route=route, actor="a"),
        ChannelChanged(channel_id=channel, route=route, actor="a", reason="r"),
        ChannelPaused(channel_id=channel, actor="a", reason="r"),
        ChannelResumed(channel_id=channel, actor="a", reason="r"),
        ChannelKeyStateChanged(
            channel_id=channel, key_id=key, state="unusable", actor="a", reason="r"
        ),
        ChannelRemoved(channel_id=channel, actor="a", reason="r"),
        PriceSet(
            model="a/b",
            price=price,
            effective_from_us=1,
            actor="a",
            reason="r",
            book="draft",
            provenance="p",
            decision=Decision(id=channel, request_sha256="0" * 64, published="draft"),
        ),
        GroupSet(
            name="vip",
            multiplier=Multiplier(3, 2),
            actor="a",
            reason="r",
            for_members={"staff": Multiplier(1, 2)},
        ),
        SettingChanged(name="book.time_zone", value="UTC", actor="a", reason="r"),
    ]


def _seals() -> list[Event]:
    return [
        SigningKeyIntroduced(verifier="k", cause="rotation", actor="a", endorsement="e"),
        CheckpointSealed(size=1, root="r", note="n", verifier="k"),
        BackupRestored(
            sha256="0" * 64,
            made_by="tollgate 0",
            taken_at="2026-01-01T00:00:00+00:00",
            up_to_position=7,
            has_vault=True,
            actor="a",
        ),
    ]


def _adjustments(account: UUID) -> list[Event]:
    """No real proposal has all of it: it is a reversal, or a correction, or neither."""
    alternative = Alternative(
        book="draft",
        moment_us=1,
        prices={"m": Price(rates={"input": 1})},
        multipliers={"vip": Multiplier(1, 2)},
    )
    question = Question(
        alternative=alternative, first=1, last=2, as_of=3, accounts=(account,), models=("m",)
    )
    correction = Correction(
        question=question,
        direction="customer",
        charges=1,
        accounts=1,
        before_nanos=5,
        delta_nanos=-2,
        digest="0" * 64,
    )
    return [
        AdjustmentProposed(
            credit=ProposedCredit(
                stream_id=entity_id(), source="payment", method="bank", reference="R-1"
            ),
            kind="manual",
            account_id=account,
            amount_nanos=-5,
            reason="goodwill",
            reverses=Reversed(stream_id=account, position=4),
            correction=correction,
            against="promotions",
            request_sha256="0" * 64,
            actor="a",
        ),
        AdjustmentApproved(checked_position=3, actor="a"),
        AdjustmentRejected(request_sha256="0" * 64, actor="a"),
        AdjustmentPosted(
            account_id=account,
            amount_nanos=-5,
            reason="goodwill",
            charges=1,
            charged_nanos=-2,
            against="promotions",
            actor="a",
        ),
    ]
