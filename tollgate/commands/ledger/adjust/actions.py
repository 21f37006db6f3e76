"""What two operators do to move money by hand: propose, approve, reject, and look."""

import argparse
import secrets

from admin_api.adjustments import operations as adjustments
from admin_api.adjustments.operations import AdjustmentView, Wanted, proposal_id
from admin_api.corrections.operations.corrections import check_approval, post_correction
from admin_api.desk import Desk
from admin_api.fields.inputs import format_moment
from ledger.money import format_usd
from projections.views.adjustments import PROJECTION, AdjustmentRow
from tollgate.commands.at_the_desk import identifier, perform, print_table
from tollgate.commands.contract import OK
from tollgate.commands.operator_token import read_token, signed_in
from tollgate.commands.progress_bar import progress_bar
from tollgate.commands.read_models import perform_caught_up

LISTED_MAX = 1_000


def propose(arguments: argparse.Namespace) -> int:
    token = read_token()
    key = arguments.idempotency_key or secrets.token_hex(16)
    wanted = Wanted(
        account_id=identifier(arguments.account),
        amount=arguments.amount,
        side=arguments.direction,
        code=arguments.code,
        reason=arguments.reason,
    )

    async def work(desk: Desk) -> adjustments.Proposed:
        operator = await signed_in(desk, token, "adjustments:propose")
        adjustment_id = proposal_id(operator.actor, "adjust", key)
        return await adjustments.propose_adjustment(
            desk, wanted, adjustment_id=adjustment_id, actor=operator.actor
        )

    print(perform(arguments, work).adjustment_id)
    return OK


def reverse(arguments: argparse.Namespace) -> int:
    token = read_token()

    async def work(desk: Desk) -> adjustments.Proposed:
        operator = await signed_in(desk, token, "adjustments:propose")
        return await adjustments.propose_reversal(
            desk,
            arguments.position,
            code=arguments.code,
            reason=arguments.reason,
            actor=operator.actor,
        )

    print(perform(arguments, work).adjustment_id)
    return OK


def approve(arguments: argparse.Namespace) -> int:
    token, adjustment_id = read_token(), identifier(arguments.adjustment)

    async def work(desk: Desk) -> AdjustmentView:
        operator = await signed_in(desk, token, "adjustments:approve")
        if not await check_approval(desk, adjustment_id, actor=operator.actor):
            return await adjustments.approve(desk, adjustment_id, actor=operator.actor)
        with progress_bar("corrected") as progress:
            await post_correction(desk, adjustment_id, progress, actor=operator.actor)
        return await adjustments.read_adjustment(desk, adjustment_id)

    _print(perform(arguments, work))
    return OK


def reject(arguments: argparse.Namespace) -> int:
    token, adjustment_id = read_token(), identifier(arguments.adjustment)

    async def work(desk: Desk) -> AdjustmentView:
        operator = await signed_in(desk, token, "adjustments:approve")
        return await adjustments.reject(
            desk, adjustment_id, reason=arguments.reason, actor=operator.actor
        )

    _print(perform(arguments, work))
    return OK


def show(arguments: argparse.Namespace) -> int:
    adjustment_id = identifier(arguments.adjustment)
    _print(perform(arguments, lambda desk: adjustments.read_adjustment(desk, adjustment_id)))
    return OK


def list_adjustments(arguments: argparse.Namespace) -> int:
    account_id = None if arguments.account is None else identifier(arguments.account)

    async def work(desk: Desk) -> list[AdjustmentRow]:
        return await adjustments.list_adjustments(
            desk, state=arguments.state, account_id=account_id, before=None, limit=LISTED_MAX
        )

    rows = perform_caught_up(arguments, (PROJECTION,), work)
    print_table(
        ("ID", "KIND", "STATE", "ACCOUNT", "AMOUNT", "CODE", "PROPOSED BY", "DECIDED BY"),
        (
            (
                row.adjustment_id,
                row.kind,
                row.state,
                row.account_id or f"{row.accounts} accounts",
                format_usd(row.amount_nanos),
                row.reason,
                row.proposer,
                row.decider or "-",
            )
            for row in rows
        ),
    )
    return OK


def _print(view: AdjustmentView) -> None:
    proposed, decided = view.state.proposed, view.decided
    assert proposed is not None
    print(f"{proposed.kind} {view.adjustment_id}: {view.state.state}")
    print(f"proposed   {format_moment(view.proposed.recorded_at)} by {proposed.actor}")
    if decided is not None:
        print(f"decided    {format_moment(decided.recorded_at)} by {decided.event.actor}")  # type: ignore[attr-defined]  # both have one
    if proposed.account_id is not None:
        print(f"account    {proposed.account_id}")
        print(f"amount     {format_usd(proposed.amount_nanos)} USD to the customer")
    if proposed.reverses is not None:
        print(f"reverses   {proposed.reverses.stream_id} at {proposed.reverses.position}")
    if (correction := proposed.correction) is not None:
        before, delta = correction.before_nanos, correction.delta_nanos
        print(f"charges    {correction.charges} of {correction.accounts} accounts")
        print(f"before     {format_usd(before)} USD")
        print(f"after      {format_usd(before + delta)} USD ({format_usd(delta)})")
        print(f"digest     {correction.digest}")
    print(f"reason     {proposed.reason}: {view.reason or '(forgotten)'}")
    if view.rejection is not None:
        print(f"rejected   {view.rejection}")
    for one in view.posted[:1]:
        print(f"posted     {format_moment(one.recorded_at)} at position {one.position}")
