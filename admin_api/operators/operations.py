"""Operators: people and programs at the desk, recognised by the SHA-256 of their tokens."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from admin_api.access import fresh_secrets
from admin_api.access.permissions import operator_actor
from admin_api.desk import Desk
from admin_api.fields import inputs
from admin_api.in_turn import Step, in_turn
from ledger import ids, vault
from ledger.errors import NotAllowedNow, NotFound
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


@dataclass(frozen=True, slots=True)
class OperatorView:
    """An operator for people; `name` is None once it was erased."""

    user_id: UUID
    name: str | None
    role: Role
    is_disabled: bool
    is_erased: bool
    tokens: int


async def list_operators(desk: Desk) -> list[OperatorView]:
    """Every operator there ever was. Raises NotCaughtUp."""
    await desk.up_to_date()
    users = [state for state in desk.configuration.held.users.values() if state.user_id]
    ids_ = [state.user_id for state in users if state.user_id is not None]
    async with desk.pool.connection() as connection:
        names = await vault.tell_many(connection, desk.vault, "user", "name", ids_)
    return sorted((_view(state, names) for state in users), key=lambda one: str(one.user_id))


async def read_operator(desk: Desk, user_id: UUID) -> OperatorView:
    """One operator. Raises NotFound."""
    state: User = await desk.state(user.STREAM, user_id)
    if state.user_id is None:
        raise NotFound("no such operator")
    async with desk.pool.connection() as connection:
        names = await vault.tell_many(connection, desk.vault, "user", "name", [user_id])
    return _view(state, names)


async def change_operator(
    desk: Desk,
    user_id: UUID,
    *,
    name: str | None = None,
    role: Role | None = None,
    actor: str,
    reason: str = "",
) -> OperatorView:
    """Change what is given. Raises InvalidInput, NotFound, NotAllowedNow for one's own role."""
    known = await read_operator(desk, user_id)
    if role is not None and role != known.role:
        _refuse_own(user_id, actor)
        await desk.handle(user.STREAM, user_id, user.ChangeRole(role, actor, reason))
    if name is not None and not known.is_erased:
        name = inputs.text("name", name)
        async with desk.pool.connection() as connection:
            await vault.put(connection, desk.vault, Place("user", user_id, "name", user_id), name)
    return await read_operator(desk, user_id)


async def disable_operator(
    desk: Desk, user_id: UUID, *, actor: str, reason: str = ""
) -> OperatorView:
    """Let nothing be done in this name. Raises NotFound, NotAllowedNow for oneself."""
    _refuse_own(user_id, actor)
    await desk.handle(user.STREAM, user_id, user.Disable(actor, reason))
    return await read_operator(desk, user_id)


async def enable_operator(
    desk: Desk, user_id: UUID, *, actor: str, reason: str = ""
) -> OperatorView:
    """Let it act again. Raises NotFound."""
    await desk.handle(user.STREAM, user_id, user.Enable(actor, reason))
    return await read_operator(desk, user_id)


async def erase_operator(
    desk: Desk, user_id: UUID, *, actor: str, reason: str = ""
) -> OperatorView:
    """Make everything personal unreadable, for good; the ledger keeps an id and stays provable.

    Raises NotFound, NotAllowedNow for oneself.
    """
    _refuse_own(user_id, actor)
    await read_operator(desk, user_id)
    async with desk.pool.connection() as connection:
        await vault.forget(connection, user_id)
    await desk.handle(user.STREAM, user_id, user.Erase(actor, reason))
    return await read_operator(desk, user_id)


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


def _view(state: User, names: Mapping[UUID, str]) -> OperatorView:
    assert state.user_id is not None
    return OperatorView(
        user_id=state.user_id,
        name=names.get(state.user_id),
        role=state.role,
        is_disabled=state.is_disabled,
        is_erased=state.is_erased,
        tokens=sum(method == METHOD for method, _ in state.identities),
    )


def _refuse_own(user_id: UUID, actor: str) -> None:
    """Nobody locks themselves out: whoever is left could not let them in again."""
    if actor == operator_actor(user_id):
        raise NotAllowedNow("nobody does this to themselves: ask another operator")


def _unlink(subject: str, actor: str) -> Step:
    return lambda _: user.Unlink(METHOD, subject, actor)
