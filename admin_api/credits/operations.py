"""Crediting an account: once per idempotency key, whatever is repeated, wherever it arrives."""

import hashlib
import json
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from admin_api.accounts.operations import require_account
from admin_api.desk import Desk
from admin_api.errors import InvalidInput
from admin_api.fields import inputs
from ledger import ids, vault
from ledger.streams import credit
from ledger.streams.credit import Source
from ledger.vault import Place


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


Kind = Literal["manual", "payment", "promotion", "goodwill", "import"]
"""Where a credit comes from: `manual` was paid by hand, `payment` by a method."""


@dataclass(frozen=True, slots=True)
class NewCredit:
    """A credit as somebody wrote it. `method` and `reference` belong to a payment."""

    amount: str
    reason: str
    kind: Kind = "manual"
    method: str = ""
    reference: str = ""


async def grant_credit(
    desk: Desk, account_id: UUID, wanted: NewCredit, *, idempotency: Idempotency, actor: str
) -> int:
    """Credit an account in USD; the position of the credit, the same for every repeat.

    Returns once balance and cache show it. Raises InvalidAmount, InvalidInput, NotFound,
    IdempotencyConflict when the key was used for another request, StoreUnavailable.
    """
    amount_nanos = inputs.positive_amount(wanted.amount)
    reason = inputs.text("reason", wanted.reason, inputs.REASON_MAX)
    _check_origin(wanted)
    await require_account(desk, account_id)
    stream_id = idempotency.stream_id
    digest = _request_sha256(account_id, amount_nanos, reason, wanted)
    async with desk.pool.connection() as connection:
        place = Place("credit", reason_row(stream_id, digest), "reason", account_id)
        await vault.put(connection, desk.vault, place, reason)
    source: Source = "top_up" if wanted.kind == "payment" else wanted.kind
    command = credit.Grant(
        account_id, amount_nanos, source, digest, actor, wanted.method, wanted.reference
    )
    appended = await desk.handle(credit.STREAM, stream_id, command)
    if appended is not None:
        await desk.shown(appended)
        return appended.positions[0]
    first = await desk.ledger.events(stream_id)
    return first[0].position


def reason_row(credit_id: UUID, request_sha256: str) -> UUID:
    """The vault row of a credit's reason. It depends on the request, so that another request

    with the same idempotency key, refused a moment later, cannot have overwritten it.
    """
    return ids.derived_id("credit_reason", f"{credit_id}:{request_sha256}")


def _check_origin(wanted: NewCredit) -> None:
    """Raises InvalidInput."""
    if wanted.kind == "payment":
        inputs.payment_method("method", wanted.method)
    elif wanted.method:
        raise InvalidInput("method", "is that of a payment only")
    if wanted.reference:
        inputs.reference("reference", wanted.reference)


def _request_sha256(account_id: UUID, amount_nanos: int, reason: str, wanted: NewCredit) -> str:
    parts: list[object] = [str(account_id), amount_nanos, reason]
    if wanted.kind != "manual" or wanted.reference:
        parts += [wanted.kind, wanted.method, wanted.reference]
    canonical = json.dumps(parts, ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()
