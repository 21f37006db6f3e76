"""What operators may do, by their role, and API keys with what is their own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from admin_api.errors import Forbidden
from ledger.errors import NotFound
from ledger.streams.user import Role

Permission = Literal[
    "accounts:read",
    "accounts:write",
    "credits:write",
    "keys:write",
    "channels:read",
    "channels:write",
    "prices:read",
    "prices:write",
    "requests:read",
    "ledger:read",
    "ledger:write",
    "adjustments:propose",
    "adjustments:approve",
    "reconciliation:write",
    "operators:read",
    "operators:write",
    "settings:read",
    "settings:write",
]

_READ: frozenset[Permission] = frozenset(
    {
        "accounts:read",
        "channels:read",
        "prices:read",
        "requests:read",
        "ledger:read",
        "operators:read",
        "settings:read",
    }
)
_BOOKS: frozenset[Permission] = frozenset(
    {
        "credits:write",
        "prices:write",
        "ledger:write",
        "adjustments:propose",
        "adjustments:approve",
        "reconciliation:write",
    }
)
_WRITE: frozenset[Permission] = _BOOKS | {"accounts:write", "keys:write", "channels:write"}

PERMISSIONS: Mapping[Role, frozenset[Permission]] = {
    "root": _READ | _WRITE | {"operators:write", "settings:write"},
    "operator": _READ | _WRITE,
    "finance": _READ | _BOOKS,
    "auditor": _READ,
}
"""What each role may do."""


def operator_actor(user_id: UUID) -> str:
    """How events name an operator."""
    return f"operator:{user_id}"


@dataclass(frozen=True, slots=True)
class Operator:
    """An operator who asks."""

    user_id: UUID
    role: Role

    @property
    def actor(self) -> str:
        """How events name this operator."""
        return operator_actor(self.user_id)

    def may(self, permission: Permission) -> bool:
        """Whether the role allows it."""
        return permission in PERMISSIONS[self.role]

    def require(self, permission: Permission) -> None:
        """For what a route cannot know before it has read the request. Raises Forbidden."""
        if not self.may(permission):
            raise Forbidden(f"the role {self.role} does not allow {permission}")


@dataclass(frozen=True, slots=True)
class Owner:
    """An API key that asks for what is its own."""

    account_id: UUID
    key_id: UUID


def require_own(caller: Operator | Owner, account_id: UUID) -> None:
    """An API key sees its own account; others do not exist for it. Raises NotFound."""
    if isinstance(caller, Owner) and caller.account_id != account_id:
        raise NotFound("no such account")


def require_own_key(caller: Operator | Owner, key_id: UUID) -> None:
    """An API key sees what it did itself; other keys do not exist for it. Raises NotFound."""
    if isinstance(caller, Owner) and caller.key_id != key_id:
        raise NotFound("no such key")
