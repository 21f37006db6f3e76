"""`tollgate audit`: who did what, when and why."""

import argparse

from admin_api.audit.operations import Act, AskedActs, list_acts
from admin_api.fields.inputs import format_moment
from projections.views import audit_trail, users
from tollgate.commands.at_the_desk import identifier, print_table
from tollgate.commands.contract import OK
from tollgate.commands.read_models import perform_caught_up


def run(arguments: argparse.Namespace) -> int:
    asked = AskedActs(
        actor=arguments.actor,
        stream_id=arguments.stream and identifier(arguments.stream),
        account_id=arguments.account and identifier(arguments.account),
        topic=arguments.type,
        since=arguments.since,
        until=arguments.until,
        before=arguments.before,
    )
    acts, _ = perform_caught_up(
        arguments,
        (audit_trail.PROJECTION, users.PROJECTION),
        lambda desk: list_acts(desk, asked, limit=arguments.limit),
    )
    print_table(("AT", "ACTOR", "NAME", "TYPE", "STREAM", "REASON"), map(_row, acts))
    if len(acts) == arguments.limit:
        print(f"more: --before {acts[-1].row.position}")
    return OK


def _row(act: Act) -> tuple[object, ...]:
    row = act.row
    return (
        format_moment(row.recorded_at),
        row.actor,
        act.actor_name or "-",
        row.topic,
        row.stream_id,
        ": ".join(each for each in (row.reason, act.words) if each) or "-",
    )
