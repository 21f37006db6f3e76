"""A person or program at the desk: a role, and the identities that prove who it is."""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal, assert_never
from uuid import UUID

from ledger.errors import NotAllowedNow, NotFound
from ledger.streams.contract import Event, Stream

Role = Literal["root", "operator", "finance", "auditor"]


class UserRegistered(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The user exists. Name and address live in the vault."""

    TOPIC: ClassVar[str] = "user.UserRegistered.v1"

    user_id: UUID
    role: Role
    actor: str


class RoleChanged(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The user may now do other things."""

    TOPIC: ClassVar[str] = "user.RoleChanged.v1"

    user_id: UUID
    role: Role
    actor: str
    reason: str = ""


class IdentityLinked(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A proof of identity: `method` names the kind, `subject` what is recognised (a digest)."""

    TOPIC: ClassVar[str] = "user.IdentityLinked.v1"

    user_id: UUID
    method: str
    subject: str
    actor: str


class IdentityUnlinked(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The proof is no longer accepted."""

    TOPIC: ClassVar[str] = "user.IdentityUnlinked.v1"

    user_id: UUID
    method: str
    subject: str
    actor: str
    reason: str = ""


class UserDisabled(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Nothing may be done in this user's name."""

    TOPIC: ClassVar[str] = "user.UserDisabled.v1"

    user_id: UUID
    actor: str
    reason: str = ""


class UserEnabled(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The user may act again."""

    TOPIC: ClassVar[str] = "user.UserEnabled.v1"

    user_id: UUID
    actor: str
    reason: str = ""


class SubjectErased(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The person's data in the vault was made unreadable; the ledger keeps only the id."""

    TOPIC: ClassVar[str] = "user.SubjectErased.v1"

    user_id: UUID
    actor: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Register:
    """Register a user."""

    user_id: UUID
    role: Role
    actor: str


@dataclass(frozen=True, slots=True)
class ChangeRole:
    """Give another role."""

    role: Role
    actor: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """Accept a proof of identity."""

    method: str
    subject: str
    actor: str


@dataclass(frozen=True, slots=True)
class Unlink:
    """Stop accepting a proof of identity."""

    method: str
    subject: str
    actor: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Disable:
    """Let nothing be done in the user's name."""

    actor: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Enable:
    """Let the user act again."""

    actor: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Erase:
    """Record that the person's data is unreadable now."""

    actor: str
    reason: str = ""


Command = Register | ChangeRole | Link | Unlink | Disable | Enable | Erase
AnyEvent = (
    UserRegistered
    | RoleChanged
    | IdentityLinked
    | IdentityUnlinked
    | UserDisabled
    | UserEnabled
    | SubjectErased
)


@dataclass(frozen=True, slots=True)
class User:
    """The fold of one user stream."""

    version: int = 0
    user_id: UUID | None = None
    role: Role = "auditor"
    identities: frozenset[tuple[str, str]] = frozenset()
    is_disabled: bool = False
    is_erased: bool = False


def decide(state: User, command: Command) -> tuple[Event, ...]:
    """The events that answer a command; none where it changes nothing.

    Raises NotFound, NotAllowedNow.
    """
    if isinstance(command, Register):
        if state.user_id is not None:
            raise NotAllowedNow("the user exists")
        return (UserRegistered(user_id=command.user_id, role=command.role, actor=command.actor),)
    if state.user_id is None or state.is_erased:
        raise NotFound("no such user")
    return _changed(state, state.user_id, command)


def _changed(
    state: User,
    user_id: UUID,
    command: ChangeRole | Link | Unlink | Disable | Enable | Erase,
) -> tuple[Event, ...]:
    match command:
        case ChangeRole(role, actor, reason):
            changed = role != state.role
            event: Event = RoleChanged(user_id=user_id, role=role, actor=actor, reason=reason)
        case Link(method, subject, actor):
            changed = (method, subject) not in state.identities
            event = IdentityLinked(user_id=user_id, method=method, subject=subject, actor=actor)
        case Unlink(method, subject, actor, reason):
            changed = (method, subject) in state.identities
            event = IdentityUnlinked(
                user_id=user_id, method=method, subject=subject, actor=actor, reason=reason
            )
        case Disable(actor, reason):
            changed = not state.is_disabled
            event = UserDisabled(user_id=user_id, actor=actor, reason=reason)
        case Enable(actor, reason):
            changed = state.is_disabled
            event = UserEnabled(user_id=user_id, actor=actor, reason=reason)
        case Erase(actor, reason):
            changed = True
            event = SubjectErased(user_id=user_id, actor=actor, reason=reason)
        case _:
            assert_never(command)
    return (event,) if changed else ()


def evolve(state: User, event: AnyEvent) -> User:
    """The state after an event."""
    state = replace(state, version=state.version + 1)
    match event:
        case UserRegistered(user_id=user_id, role=role):
            return replace(state, user_id=user_id, role=role)
        case RoleChanged(role=role):
            return replace(state, role=role)
        case IdentityLinked(method=method, subject=subject):
            return replace(state, identities=state.identities | {(method, subject)})
        case IdentityUnlinked(method=method, subject=subject):
            return replace(state, identities=state.identities - {(method, subject)})
        case UserDisabled():
            return replace(state, is_disabled=True)
        case UserEnabled():
            return replace(state, is_disabled=False)
        case SubjectErased():
            return replace(state, is_erased=True, identities=frozenset())
        case _:
            assert_never(event)


STREAM = Stream(
    name="user",
    events=(
        UserRegistered,
        RoleChanged,
        IdentityLinked,
        IdentityUnlinked,
        UserDisabled,
        UserEnabled,
        SubjectErased,
    ),
    initial=User,
    decide=decide,
    evolve=evolve,
    is_configuration=True,
)
