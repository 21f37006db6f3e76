"""Crediting an account: once per idempotency key, whatever is repeated, wherever it arrives.

What is too large for one operator, in one or in several on the same day, is proposed instead, as an
adjustment that another one approves.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from admin_api.accounts.operations import require_account
from admin_api.adjustments.operations import proposal_id, propose
from admin_api.desk import Desk
from admin_api.errors import InvalidInput
from admin_api.fields import inputs
from admin_api.settings.operations import (
    ALONE_UP_TO_SETTING,
    ONE_OPERATOR_SETTING,
    YES,
    read_setting,
)
from ledger import ids, vault
from ledger.book_days import read_days
from ledger.errors import OverBudget
from ledger.money import parse_usd
from ledger.store.reader import read_balance
from ledger.streams import adjustment, credit
from ledger.streams.adjustment import Adjustment, ProposedCredit, Reason
from ledger.streams.credit import Alone, Source
from ledger.vault import Place

REASON_KIND = "credit"
"""Of the vault's cells with the reasons of credits."""


@dataclass(frozen=True, slots=True)
class Idempotency:
    """What makes two requests the same command: who asked, for what, under which key."""

    caller: str
    route: str
    key: str

    @property
    def stream_id(self) -> UUID:
        """The credit stream that stands for this command."""
        return ids.derived_id("credit", f"api:{self.caller}:{self.route}:{self.key}")

    @property
    def adjustment_id(self) -> UUID:
        """The adjustment that proposes it, where one operator may not grant it alone."""
        return proposal_id(self.caller, self.route, self.key)


Kind = Literal["manual", "payment", "promotion", "goodwill", "import"]
"""Where a credit comes from: `manual` was paid by hand, `payment` by a method."""


_CODES: Mapping[Kind, Reason] = {"goodwill": "goodwill", "import": "migration"}
"""Why an adjustment is made that grants one of this kind."""


@dataclass(frozen=True, slots=True)
class NewCredit:
    """A credit as somebody wrote it. `method` and `reference` belong to a payment."""

    amount: str
    reason: str
    kind: Kind = "manual"
    method: str = ""
    reference: str = ""


@dataclass(frozen=True, slots=True)
class Credited:
    """Where the credit stands in the log; or its proposal, which is `adjustment_id`."""

    position: int
    adjustment_id: UUID | None = None


async def needs_approval(
    desk: Desk, account_id: UUID, amount: str, *, idempotency: Idempotency
) -> bool:
    """Whether so much in USD is too much for one alone now, as far as can be told beforehand: what
    was granted under this key is not asked about again. Raises InvalidAmount.
    """
    amount_nanos = inputs.positive_amount(amount)
    if await desk.ledger.events(idempotency.stream_id):
        return False
    alone = await _alone(desk, account_id, idempotency.caller)
    if alone.cap_nanos is None:
        return False
    async with desk.pool.connection() as connection:
        given = await read_balance(connection, alone.scope)
    return amount_nanos + (0 if given is None else given.used_nanos) > alone.cap_nanos


async def grant_credit(
    desk: Desk,
    account_id: UUID,
    wanted: NewCredit,
    *,
    idempotency: Idempotency,
    actor: str,
    is_proposal: bool = False,
) -> Credited:
    """Credit an account in USD, or propose to; the same for every repeat.

    It is proposed where `is_proposal`, and where the actor would have given this account more than
    `credits.alone_up_to` on this day of the books: the append function decides, so that of several
    at once none passes that should not. Returns once balance and cache show it.

    Raises InvalidAmount, InvalidInput, NotFound, FourEyes where it must be proposed and the actor
    is nobody by name, IdempotencyConflict when the key was used for another request,
    StoreUnavailable.
    """
    amount_nanos = inputs.positive_amount(wanted.amount)
    reason = inputs.text("reason", wanted.reason, inputs.REASON_MAX)
    _check_origin(wanted)
    await require_account(desk, account_id)
    stream_id = idempotency.stream_id
    digest = request_sha256(account_id, amount_nanos, reason, wanted)
    source: Source = "top_up" if wanted.kind == "payment" else wanted.kind
    command = credit.Grant(
        account_id,
        amount_nanos,
        source,
        digest,
        actor,
        wanted.method,
        wanted.reference,
        alone=await _alone(desk, account_id, actor),
    )
    if await _is_proposal(desk, idempotency, is_wanted=is_proposal):
        return await _propose(desk, command, reason, idempotency, wanted)
    async with desk.pool.connection() as connection:
        place = Place(REASON_KIND, reason_row(stream_id, digest), "reason", account_id)
        await vault.put(connection, desk.vault, place, reason)
    try:
        appended = await desk.handle(credit.STREAM, stream_id, command)
    except OverBudget:
        return await _propose(desk, command, reason, idempotency, wanted)
    if appended is not None:
        await desk.shown(appended)
        return Credited(appended.positions[0])
    first = await desk.ledger.events(stream_id)
    return Credited(first[0].position)


def reason_row(credit_id: UUID, request_sha256: str) -> UUID:
    """The vault row of a credit's reason. It depends on the request, so that another request

    with the same idempotency key, refused a moment later, cannot have overwritten it.
    """
    return ids.derived_id("credit_reason", f"{credit_id}:{request_sha256}")


async def _is_proposal(desk: Desk, idempotency: Idempotency, *, is_wanted: bool) -> bool:
    """What the key stood for the first time it stays, whatever the setting is now."""
    if await desk.ledger.events(idempotency.stream_id):
        return False
    proposed: Adjustment = await desk.state(adjustment.STREAM, idempotency.adjustment_id)
    return proposed.proposed is not None or is_wanted


async def _alone(desk: Desk, account_id: UUID, actor: str) -> Alone:
    """What a credit counts in that nobody else has approved.

    A day of the books, not the last 24 hours: the append function adds up what it is told to, and
    cannot let go of what is a day old.
    """
    async with desk.pool.connection() as connection:
        days = await read_days(connection)
        row = await (await connection.execute("select clock_timestamp()")).fetchone()
    assert row is not None
    scope = ids.derived_id("alone", f"{actor}:{account_id}:{days.day_of(row[0])}")
    if await read_setting(desk, ONE_OPERATOR_SETTING) == YES:
        return Alone(scope=scope)
    return Alone(scope=scope, cap_nanos=parse_usd(await read_setting(desk, ALONE_UP_TO_SETTING)))


async def _propose(
    desk: Desk, command: credit.Grant, reason: str, idempotency: Idempotency, wanted: NewCredit
) -> Credited:
    proposed = await propose(
        desk,
        idempotency.adjustment_id,
        adjustment.Propose(
            kind="credit",
            reason=_CODES.get(wanted.kind, "other"),
            request_sha256=command.request_sha256,
            actor=command.actor,
            account_id=command.account_id,
            amount_nanos=command.amount_nanos,
            credit=ProposedCredit(
                stream_id=idempotency.stream_id,
                source=command.source,
                method=command.method,
                reference=command.reference,
            ),
        ),
        reason,
    )
    return Credited(proposed.position, proposed.adjustment_id)


def _check_origin(wanted: NewCredit) -> None:
    """Raises InvalidInput."""
    if wanted.kind == "payment":
        inputs.payment_method("method", wanted.method)
    elif wanted.method:
        raise InvalidInput("method", "is that of a payment only")
    if wanted.reference:
        inputs.reference("reference", wanted.reference)


def request_sha256(account_id: UUID, amount_nanos: int, reason: str, wanted: NewCredit) -> str:
    """What tells the request for a credit from another; `reason` in its canonical form."""
    parts: list[object] = [str(account_id), amount_nanos, reason]
    if wanted.kind != "manual" or wanted.reference:
        parts += [wanted.kind, wanted.method, wanted.reference]
    canonical = json.dumps(parts, ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()
