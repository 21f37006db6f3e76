"""`tollgate route`: whom a call would be sent to, and the reason for each that is not asked."""

import argparse
import sys
from datetime import timedelta
from uuid import UUID

from admin_api.desk import Desk
from admin_api.fields.inputs import format_moment, format_multiplier
from admin_api.route_plans import operations
from admin_api.route_plans.operations import RouteView
from admin_api.route_plans.planning import PlannedChannel, PlannedKey
from ledger.errors import NotFound
from tollgate.commands.at_the_desk import identifier, perform, print_table
from tollgate.commands.contract import OK


def run(arguments: argparse.Namespace) -> int:
    who, model = identifier(arguments.who), arguments.model
    view = perform(arguments, lambda desk: _simulated(desk, who, model))
    price = "has no price" if view.price is None else f"price version {view.price[0]}"
    sold_as = f" (as {view.plan.sold_as})" if view.plan.sold_as not in ("", model) else ""
    print(
        f"{model}{sold_as} in the group {view.group}: {price}, "
        f"times {format_multiplier(view.multiplier)}"
    )
    if view.refusal:
        print(f"refused before any channel is asked: {view.refusal}")
    if not view.is_shared:
        print("Redis is away: what keys and breakers rest is not known.", file=sys.stderr)
    print_table(
        ("FIRST", "CHANNEL", "NAME", "PRIORITY", "WEIGHT", "ASKS FOR", "STATE", "KEY", "KEY STATE"),
        (row for one in view.plan.channels for row in _rows(view, one)),
    )
    return OK


async def _simulated(desk: Desk, who: UUID, model: str) -> RouteView:
    try:
        return await operations.simulate(desk, model, account_id=who)
    except NotFound:
        return await operations.simulate(desk, model, key_id=who)


def _rows(view: RouteView, one: PlannedChannel) -> list[tuple[object, ...]]:
    state: str = one.why_not or "asked"
    if one.breaker:
        until = view.now + timedelta(seconds=one.breaker_rests_s)
        state += f", breaker {one.breaker} until {format_moment(until)}"
    channel = (
        f"{one.probability:.1%}" if one.probability else "-",
        one.channel_id,
        view.names.get(one.channel_id) or "-",
        one.priority,
        one.weight,
        one.upstream_model,
        state,
    )
    keys = [(str(key.key_id), _key_state(view, key)) for key in one.keys] or [("-", "-")]
    blank = ("",) * len(channel)
    return [(*(blank if number else channel), *key) for number, key in enumerate(keys)]


def _key_state(view: RouteView, key: PlannedKey) -> str:
    if key.state == "usable":
        return f"usable, first {key.probability:.0%}"
    if key.rests_s:
        until = format_moment(view.now + timedelta(seconds=key.rests_s))
        return f"cooling until {until}: {key.reason}"
    return f"{key.state}: {key.reason or '-'}"
