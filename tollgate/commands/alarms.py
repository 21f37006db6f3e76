"""`tollgate alarms`: what of the log somebody should look at."""

import argparse

from admin_api.alarms.operations import MEANINGS, AskedAlarms, list_alarms
from admin_api.fields.inputs import format_moment
from ledger.money import format_usd
from projections.views import alarms
from projections.views.alarms import AlarmRow
from tollgate.commands.at_the_desk import print_table
from tollgate.commands.contract import OK
from tollgate.commands.read_models import perform_caught_up


def run(arguments: argparse.Namespace) -> int:
    asked = AskedAlarms(
        kind=arguments.kind,
        since=arguments.since,
        until=arguments.until,
        before=arguments.before,
    )
    rows, _ = perform_caught_up(
        arguments,
        (alarms.PROJECTION,),
        lambda desk: list_alarms(desk, asked, limit=arguments.limit),
    )
    print_table(("AT", "KIND", "AMOUNT", "REQUEST", "CHANNEL", "MODEL"), map(_row, rows))
    for kind in sorted({row.kind for row in rows}):
        print(f"{kind}: {MEANINGS[kind]}")
    if len(rows) >= arguments.limit:
        print(f"more: --before {rows[-1].position}")
    return OK


def _row(row: AlarmRow) -> tuple[object, ...]:
    return (
        format_moment(row.recorded_at),
        row.kind,
        format_usd(row.amount_nanos),
        row.charge_id,
        row.channel_id or "-",
        row.model,
    )
