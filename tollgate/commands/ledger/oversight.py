"""`tollgate ledger oversight`: what one person could do alone, where two are meant to agree."""

import argparse
from collections.abc import Iterable, Sequence

from admin_api.fields.inputs import format_moment
from admin_api.oversight.approvals import CloseApproval, SharedApproval, moved_nanos
from admin_api.oversight.concessions import Concession
from admin_api.oversight.credits import LargeCredit, RepeatedCredits
from admin_api.oversight.operations import Oversight, read_oversight
from admin_api.oversight.schemas import OversightOutput, SettingChangeOutput
from ledger.money import format_usd
from projections.views import audit_trail
from tollgate.commands.at_the_desk import print_table
from tollgate.commands.contract import OK
from tollgate.commands.read_models import perform_caught_up


def run(arguments: argparse.Namespace) -> int:
    seen = perform_caught_up(
        arguments,
        (audit_trail.PROJECTION,),
        lambda desk: read_oversight(
            desk, since=arguments.since, until=arguments.until, limit=arguments.limit
        ),
    )
    if arguments.json:
        print(OversightOutput.of(seen).model_dump_json(indent=1))
        return OK
    who = "one operator" if seen.one_operator else "several operators"
    limit = format_usd(seen.alone_up_to_nanos)
    print(f"a house of {who}; one alone credits up to {limit} USD, as of position {seen.position}")
    _print_all(seen)
    return OK


def _print_all(seen: Oversight) -> None:
    _print(
        "credits above what one operator could grant alone",
        ("AT", "ACCOUNT", "USD", "BY", "APPROVED AS"),
        map(_credit, seen.credits),
    )
    _print(
        "days on which one gave an account more in several credits",
        ("DAY", "ACCOUNT", "USD", "BY", "CREDITS"),
        map(_repeated, seen.repeated),
    )
    _print(
        "approvals within one hand",
        ("AT", "ADJUSTMENT", "USD", "PROPOSED BY", "APPROVED BY", "WHO"),
        map(_approval, seen.approvals),
    )
    _print(
        "approvals by two whose tokens came from one hand",
        ("AT", "ADJUSTMENT", "USD", "PROPOSED BY", "APPROVED BY", "TOKENS FROM"),
        map(_shared, seen.shared),
    )
    _print(
        "overdrafts that were raised, and multipliers that were lowered",
        ("AT", "WHAT", "OF", "BEFORE", "AFTER", "BY", "REASON"),
        map(_concession, seen.concessions),
    )
    changes = [SettingChangeOutput.of(each) for each in seen.settings]
    _print(
        "changes of what one operator may do",
        ("AT", "SETTING", "VALUE", "BY", "REASON"),
        ((one.recorded_at, one.name, one.value, one.actor, one.reason) for one in changes),
    )


def _print(what: str, heads: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    listed = list(rows)
    print(f"\n{len(listed)} {what}")
    if listed:
        print_table(heads, listed)


def _credit(one: LargeCredit) -> tuple[object, ...]:
    return (
        format_moment(one.fact.recorded_at),
        one.credit.account_id,
        format_usd(one.credit.amount_nanos),
        one.credit.actor,
        one.credit.proposal or "nobody else has",
    )


def _repeated(one: RepeatedCredits) -> tuple[object, ...]:
    return (one.day, one.account_id, format_usd(one.amount_nanos), one.actor, one.count)


def _concession(one: Concession) -> tuple[object, ...]:
    of = " ".join(str(each) for each in (one.account_id, one.group, one.member) if each)
    at = format_moment(one.fact.recorded_at)
    return (at, one.what, of, one.before, one.after, one.actor, one.reason or "-")


def _approval(one: CloseApproval) -> tuple[object, ...]:
    return (*_approved(one), one.why)


def _shared(one: SharedApproval) -> tuple[object, ...]:
    return (*_approved(one), one.maker)


def _approved(one: CloseApproval | SharedApproval) -> tuple[object, ...]:
    return (
        format_moment(one.fact.recorded_at),
        one.fact.stream_id,
        format_usd(moved_nanos(one.proposed)),
        one.proposed.actor,
        one.approver,
    )
