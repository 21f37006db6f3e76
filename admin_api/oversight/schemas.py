"""What is said of oversight."""

from typing import Self
from uuid import UUID

from admin_api.fields.bodies import Moment, Output, SignedAmount
from admin_api.fields.inputs import format_moment
from admin_api.oversight.approvals import CloseApproval, SharedApproval, moved_nanos
from admin_api.oversight.concessions import Concession, What
from admin_api.oversight.credits import LargeCredit, RepeatedCredits
from admin_api.oversight.operations import Oversight
from ledger.money import format_usd
from ledger.store.reader import Recorded
from ledger.streams.setting import SettingChanged


class LargeCreditOutput(Output):
    """A credit of more than `alone_up_to`, which one operator could grant alone then.

    `adjustment`: by which another operator has approved it; null: nobody else has.
    """

    position: int
    recorded_at: Moment
    account: UUID
    amount: SignedAmount
    source: str
    actor: str
    alone_up_to: SignedAmount
    adjustment: UUID | None

    @classmethod
    def of(cls, one: LargeCredit) -> Self:
        """As it is told."""
        return cls(
            position=one.fact.position,
            recorded_at=format_moment(one.fact.recorded_at),
            account=one.credit.account_id,
            amount=format_usd(one.credit.amount_nanos),
            source=one.credit.source,
            actor=one.credit.actor,
            alone_up_to=format_usd(one.alone_up_to_nanos),
            adjustment=one.credit.proposal,
        )


class RepeatedCreditsOutput(Output):
    """Credits that one actor gave one account alone on one day of the books, `count` of them, which
    come to more than `alone_up_to`. The positions are those of the first and the last.
    """

    account: UUID
    actor: str
    day: str
    amount: SignedAmount
    count: int
    first_position: int
    last_position: int
    alone_up_to: SignedAmount

    @classmethod
    def of(cls, one: RepeatedCredits) -> Self:
        """As it is told."""
        return cls(
            account=one.account_id,
            actor=one.actor,
            day=one.day.isoformat(),
            amount=format_usd(one.amount_nanos),
            count=one.count,
            first_position=one.first_position,
            last_position=one.last_position,
            alone_up_to=format_usd(one.alone_up_to_nanos),
        )


class CloseApprovalOutput(Output):
    """An adjustment that one person may have both proposed and approved. `why`: the approver ..."""

    position: int
    recorded_at: Moment
    adjustment: UUID
    kind: str
    amount: SignedAmount
    proposed_by: str
    approved_by: str
    why: str

    @classmethod
    def of(cls, one: CloseApproval) -> Self:
        """As it is told."""
        return cls(
            position=one.fact.position,
            recorded_at=format_moment(one.fact.recorded_at),
            adjustment=one.fact.stream_id,
            kind=one.proposed.kind,
            amount=format_usd(moved_nanos(one.proposed)),
            proposed_by=one.proposed.actor,
            approved_by=one.approver,
            why=one.why,
        )


class SharedApprovalOutput(Output):
    """An adjustment that was proposed and approved by tokens that came from one hand, `maker`: of
    an operator, or of the command line. It is no proof of anything.
    """

    position: int
    recorded_at: Moment
    adjustment: UUID
    kind: str
    amount: SignedAmount
    proposed_by: str
    approved_by: str
    maker: str

    @classmethod
    def of(cls, one: SharedApproval) -> Self:
        """As it is told."""
        return cls(
            position=one.fact.position,
            recorded_at=format_moment(one.fact.recorded_at),
            adjustment=one.fact.stream_id,
            kind=one.proposed.kind,
            amount=format_usd(moved_nanos(one.proposed)),
            proposed_by=one.proposed.actor,
            approved_by=one.approver,
            maker=one.maker,
        )


class ConcessionOutput(Output):
    """Money given away without a credit, by one person.

    what: `overdraft`, `before` and `after` in USD; or list prices times less than before: of a
    group (`multiplier`), of an account that moved to one (`account_group`), of a key that calls in
    one (`key_group`). member: the group of those who pay it, null: of all that have no other.
    """

    position: int
    recorded_at: Moment
    what: What
    account: UUID | None
    group: str | None
    member: str | None
    before: str
    after: str
    actor: str
    reason: str

    @classmethod
    def of(cls, one: Concession) -> Self:
        """As it is told."""
        return cls(
            position=one.fact.position,
            recorded_at=format_moment(one.fact.recorded_at),
            what=one.what,
            account=one.account_id,
            group=one.group,
            member=one.member,
            before=one.before,
            after=one.after,
            actor=one.actor,
            reason=one.reason,
        )


class SettingChangeOutput(Output):
    """Who changed what one person can do alone, and why."""

    position: int
    recorded_at: Moment
    name: str
    value: str
    actor: str
    reason: str

    @classmethod
    def of(cls, fact: Recorded) -> Self:
        """As it is told."""
        changed = fact.event
        assert isinstance(changed, SettingChanged)
        return cls(
            position=fact.position,
            recorded_at=format_moment(fact.recorded_at),
            name=changed.name,
            value=changed.value,
            actor=changed.actor,
            reason=changed.reason,
        )


class OversightOutput(Output):
    """What one person could do alone, the newest first; all that was done up to `position`.

    `one_operator`: the house says now that nobody else is there to approve.
    """

    position: int
    one_operator: bool
    alone_up_to: SignedAmount
    credits: list[LargeCreditOutput]
    repeated_credits: list[RepeatedCreditsOutput]
    approvals: list[CloseApprovalOutput]
    shared_approvals: list[SharedApprovalOutput]
    concessions: list[ConcessionOutput]
    settings: list[SettingChangeOutput]

    @classmethod
    def of(cls, seen: Oversight) -> Self:
        """As it is told."""
        return cls(
            position=seen.position,
            one_operator=seen.one_operator,
            alone_up_to=format_usd(seen.alone_up_to_nanos),
            credits=[LargeCreditOutput.of(one) for one in seen.credits],
            repeated_credits=[RepeatedCreditsOutput.of(one) for one in seen.repeated],
            approvals=[CloseApprovalOutput.of(one) for one in seen.approvals],
            shared_approvals=[SharedApprovalOutput.of(one) for one in seen.shared],
            concessions=[ConcessionOutput.of(one) for one in seen.concessions],
            settings=[SettingChangeOutput.of(one) for one in seen.settings],
        )
