"""What accounts and keys came to since they were made, from the read models that keep it.

Decisions read the budgets, and lists of accounts and keys the log: both show one's own change at
once. This is for people who compare, and says how far it has come.
"""

from dataclasses import dataclass
from uuid import UUID

from admin_api.accounts.operations import require_account
from admin_api.desk import Desk, served_position
from ledger import vault
from projections.views import accounts, keys
from projections.views.accounts import AccountRow
from projections.views.keys import KeyRow


@dataclass(frozen=True, slots=True)
class AccountTotals:
    """An account's row and its name; None where that was erased."""

    row: AccountRow
    name: str | None


@dataclass(frozen=True, slots=True)
class KeyTotals:
    """A key's row and its name; None where that was erased."""

    row: KeyRow
    name: str | None


async def account_totals(
    desk: Desk, *, after: UUID | None, limit: int, at_least: int = 0
) -> tuple[list[AccountTotals], int]:
    """Accounts in the order of their ids, those behind `after`, and up to which position they are
    known. Raises NotCaughtUp, QueryTooSlow.
    """
    async with desk.reading() as connection:
        position = await served_position(connection, accounts.PROJECTION.name, at_least)
        if not position:
            return [], 0
        rows = await accounts.list_accounts(connection, after=after, limit=limit)
        ids = [row.account_id for row in rows]
        names = await vault.tell_many(connection, desk.vault, "account", "name", ids)
    return [AccountTotals(row, names.get(row.account_id)) for row in rows], position


async def key_totals(
    desk: Desk, account_id: UUID, *, after: UUID | None, limit: int, at_least: int = 0
) -> tuple[list[KeyTotals], int]:
    """An account's keys, as `account_totals`. Raises NotFound, NotCaughtUp, QueryTooSlow."""
    await require_account(desk, account_id)
    async with desk.reading() as connection:
        position = await served_position(connection, keys.PROJECTION.name, at_least)
        if not position:
            return [], 0
        rows = await keys.list_keys_of_account(connection, account_id, after=after, limit=limit)
        ids = [row.key_id for row in rows]
        names = await vault.tell_many(connection, desk.vault, "api_key", "name", ids)
    return [KeyTotals(row, names.get(row.key_id)) for row in rows], position
