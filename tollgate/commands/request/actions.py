"""`tollgate request`: what was called, by whom, and what it cost."""

import argparse

from admin_api.fields.inputs import format_moment
from admin_api.requests.operations import AskedRequests, list_requests
from ledger.money import format_usd
from projections.views import request_log
from projections.views.request_log import RequestRow
from tollgate.commands.at_the_desk import identifier, print_table
from tollgate.commands.contract import OK
from tollgate.commands.read_models import perform_caught_up


def list_closed(arguments: argparse.Namespace) -> int:
    asked = AskedRequests(
        account_id=arguments.account and identifier(arguments.account),
        key_id=arguments.key and identifier(arguments.key),
        model=arguments.model,
        channel_id=arguments.channel and identifier(arguments.channel),
        status=arguments.status,
        ending=arguments.ending,
        since=arguments.since,
        until=arguments.until,
        before=arguments.before,
    )
    page, _ = perform_caught_up(
        arguments,
        (request_log.PROJECTION,),
        lambda desk: list_requests(desk, asked, None, limit=arguments.limit),
    )
    print_table(
        ("CLOSED AT", "ID", "ACCOUNT", "MODEL", "PROMPT", "OUTPUT", "COST", "ENDING"),
        map(_row, page.requests),
    )
    if page.next_before is not None:
        print(f"more: --before {page.next_before}")
    return OK


def _row(row: RequestRow) -> tuple[object, ...]:
    return (
        format_moment(row.closed_at),
        row.charge_id,
        row.account_id,
        row.model,
        row.prompt_tokens,
        row.output_tokens,
        format_usd(row.charged_nanos + row.adjusted_nanos),
        row.ending if row.status == "settled" else f"refunded: {row.ending}",
    )
