"""`tollgate usage`: requests, tokens and money, added up by hour, by day or in all."""

import argparse
from zoneinfo import ZoneInfo

from admin_api.usage import operations
from admin_api.usage.operations import AskedUsage
from ledger.money import format_usd
from ledger.usage import CLASSES
from projections.views import usage_quarter_hours
from tollgate.commands.at_the_desk import identifier, print_table
from tollgate.commands.contract import OK
from tollgate.commands.read_models import perform_caught_up

_COUNTS = ("requests", "refunds", "adjustments")


def run(arguments: argparse.Namespace) -> int:
    asked = AskedUsage(
        per=arguments.per,
        by=[name for name in arguments.by.split(",") if name],
        account_id=arguments.account and identifier(arguments.account),
        key_id=arguments.key and identifier(arguments.key),
        model=arguments.model,
        channel_id=arguments.channel and identifier(arguments.channel),
        group=arguments.group,
        since=arguments.since,
        until=arguments.until,
    )
    report = perform_caught_up(
        arguments,
        (usage_quarter_hours.PROJECTION,),
        lambda desk: operations.usage(desk, asked, None),
    )
    kinds = [kind for kind in CLASSES if any(line.sums[kind] for line in report.lines)]
    heads = (*asked.by, *kinds, *_COUNTS, "charged", "adjusted", "cost", "cost unknown")
    zone = ZoneInfo(report.time_zone)
    print_table(
        ("FROM", *(head.upper().replace("_", " ") for head in heads)),
        (
            (
                f"{line.begins_at.astimezone(zone):%Y-%m-%d %H:%M}",
                *(name or "-" for name in line.names.values()),
                *(line.sums[count] for count in (*kinds, *_COUNTS)),
                format_usd(line.sums["charged_nanos"]),
                format_usd(line.sums["adjusted_nanos"]),
                format_usd(line.sums["cost_nanos"]),
                line.sums["requests"] - line.sums["costed_requests"],
            )
            for line in report.lines
        ),
    )
    print(f"in {report.time_zone}; everything up to position {report.position} is counted")
    return OK
