"""Operators: people and programs at the desk, recognised by the SHA-256 of their tokens."""

from dataclasses import dataclass, field
from uuid import UUID

from admin_api.access import fresh_secrets
from admin_api.desk import Desk
from admin_api.fields import inputs
from admin_api.in_turn import Step, in_turn
from ledger import ids, vault
from ledger.streams import user
from ledger.streams.user import Role, User
from ledger.vault import Place

METHOD = "access_token"
"""The kind of identity a token is."""

ROOT_ID = ids.derived_id("user", "root")
"""The operator of INITIAL_ROOT_ACCESS_TOKEN, the same on every node."""


@dataclass(frozen=True, slots=True)
class NewOperator:
    """A new operator. `token` is told this once and kept nowhere."""

    user_id: UUID
    token: str = field(repr=False)


async def register_operator(desk: Desk, *, name: str, role: Role, actor: str) -> NewOperator:
    """Register an operator with a token. Raises InvalidInput, StoreUnavailable."""
    name = inputs.text("name", name)
    user_id = ids.entity_id()
    token = fresh_secrets.access_token()
    async with desk.pool.connection() as connection:
        await vault.put(connection, desk.vault, Place("user", user_id, "name", user_id), name)
    steps: list[Step] = [
        lambda _: user.Register(user_id, role, actor),
        lambda _: user.Link(METHOD, ids.key_digest(token), actor),
    ]
    await desk.handle(in_turn(user.STREAM), user_id, steps)
    return NewOperator(user_id, token)


async def open_root(desk: Desk, token: str | None, *, actor: str) -> str | None:
    """Make sure that there is a root operator; its token if it is new, else None.

    `token` is the one to use, None for a fresh one. A root that has a token keeps it.
    """
    fresh = token or fresh_secrets.access_token()

    def register(state: User) -> user.Register | None:
        return user.Register(ROOT_ID, "root", actor) if state.user_id is None else None

    def link(state: User) -> user.Link | None:
        has_token = any(method == METHOD for method, _ in state.identities)
        return None if has_token else user.Link(METHOD, ids.key_digest(fresh), actor)

    appended = await desk.handle(in_turn(user.STREAM), ROOT_ID, [register, link])
    return None if appended is None else fresh


async def reset_token(desk: Desk, user_id: UUID, *, actor: str) -> str:
    """Replace all of an operator's tokens by a fresh one. Raises NotFound."""
    token = fresh_secrets.access_token()
    state: User = await desk.state(user.STREAM, user_id)
    old = sorted(subject for method, subject in state.identities if method == METHOD)
    steps: list[Step] = [lambda _: user.Link(METHOD, ids.key_digest(token), actor)]
    steps += [_unlink(subject, actor) for subject in old]
    await desk.handle(in_turn(user.STREAM), user_id, steps)
    return token


async def find_operator(desk: Desk, token: str) -> tuple[UUID, Role] | None:
    """Who presents this token and is not disabled; None where it is nobody.

    A token nobody here knows may be a second old, of another process: what is missing is read
    before the answer is no. Raises NotCaughtUp.
    """
    identity = (METHOD, ids.key_digest(token))
    found = _holder(desk, identity)
    if found is None:
        await desk.up_to_date()
        found = _holder(desk, identity)
    if found is None or found.is_disabled or found.user_id is None:
        return None
    return found.user_id, found.role


def _holder(desk: Desk, identity: tuple[str, str]) -> User | None:
    users = desk.configuration.held.users.values()
    return next((each for each in users if identity in each.identities), None)


def _unlink(subject: str, actor: str) -> Step:
    return lambda _: user.Unlink(METHOD, subject, actor)
