"""Crediting an account: once per idempotency key, whatever is repeated, wherever it arrives."""

import hashlib
import json
from dataclasses import dataclass
from uuid import UUID

from admin_api.accounts.operations import require_account
from admin_api.desk import Desk
from admin_api.fields import inputs
from ledger import ids, vault
from ledger.streams import credit
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


async def grant_credit(
    desk: Desk, account_id: UUID, *, amount: str, reason: str, idempotency: Idempotency, actor: str
) -> int:
    """Credit an account in USD; the position of the credit, the same for every repeat.

    Returns once balance and cache show it. Raises InvalidAmount, InvalidInput, NotFound,
    IdempotencyConflict when the key was used for another request, StoreUnavailable.
    """
    amount_nanos = inputs.positive_amount(amount)
    reason = inputs.text("reason", reason, inputs.REASON_MAX)
    await require_account(desk, account_id)
    stream_id = idempotency.stream_id
    digest = _request_sha256(account_id, amount_nanos, reason)
    async with desk.pool.connection() as connection:
        place = Place("credit", reason_row(stream_id, digest), "reason", account_id)
        await vault.put(connection, desk.vault, place, reason)
    command = credit.Grant(account_id, amount_nanos, "manual", digest, actor)
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


def _request_sha256(account_id: UUID, amount_nanos: int, reason: str) -> str:
    canonical = json.dumps([str(account_id), amount_nanos, reason], ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()
