"""Whether two operators are two people: an approver must not be the proposer's own creature.

An operator is whoever presents its token, so what is asked is who may know whose. The log says who
registered an operator, who gave it the token it had, its role, or its access back. By that:

- The approver is not of the proposer's making, nor of the making of one whom the proposer made:
  the proposer may know the token that approves.
- The proposer is not of the approver's making, along makers either: the approver may have proposed
  by a token that it gave out itself. A role is no token, so giving one ties in the first way alone.
- Nothing that makes an approver is less than a day old, whoever did it.
- Who registered an operator stays its maker, whoever gave it a token later: an operator that was
  made up renews its token as easily as one that is somebody.
- The command line and the installation are nobody by name. The ledger takes no proposal and no
  approval of theirs, and as makers they tie no two operators: several people may have sat at that
  shell, and a house whose operators were all made there could approve nothing. What is told of it
  is `shared_hand`: the report names approvals between two whose tokens came from one hand.

A house of one operator says so by a setting; then it is not asked, and the report
(admin_api/oversight) names every approval that it would have refused. A house of two makes the
second one at the command line.
"""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection

from admin_api.desk import Desk
from admin_api.settings.operations import ONE_OPERATOR_SETTING, YES, read_setting
from ledger.errors import FourEyes
from ledger.store.reader import Recorded, read_stream
from ledger.streams.adjustment import AdjustmentProposed
from ledger.streams.user import (
    IdentityLinked,
    IdentityUnlinked,
    RoleChanged,
    UserEnabled,
    UserRegistered,
)

LEAST_AGE = timedelta(days=1)

_OPERATOR = "operator:"
_REGISTERED, _TOKEN = "was registered", "was given its token"

_TOKEN_GIVEN = frozenset({_TOKEN})
_TOKEN_KNOWN = frozenset({_REGISTERED, _TOKEN})
"""Ways of making an operator by which one may know its token."""

Histories = Mapping[str, Sequence[Recorded]]
"""The streams of operators, by their names as actors."""


class Act(NamedTuple):
    """Who proposed or approved, and when."""

    actor: str
    at: datetime


class _Making(NamedTuple):
    what: str
    maker: str
    at: datetime


async def require_another_hand(desk: Desk, adjustment_id: UUID, approver: str) -> None:
    """Raises FourEyes where the approver is within the proposer's hand."""
    events = await desk.ledger.events(adjustment_id)
    proposal = events[0] if len(events) == 1 else None
    if proposal is None or not isinstance(proposal.event, AdjustmentProposed):
        return  # whatever is wrong with it is said when it is decided
    proposed = Act(proposal.event.actor, proposal.recorded_at)
    if proposed.actor == approver or await read_setting(desk, ONE_OPERATOR_SETTING) == YES:
        return
    async with desk.pool.connection() as connection:
        histories = await read_histories(connection, (proposed.actor, approver))
        row = await (await connection.execute("select clock_timestamp()")).fetchone()
    assert row is not None
    why = one_hand(proposed, Act(approver, row[0]), histories)
    if why is not None:
        raise FourEyes(f"the approver {why}: another operator must approve it")


async def read_histories(
    connection: AsyncConnection[Any],
    actors: Iterable[str],
    known: Histories | None = None,
) -> dict[str, Sequence[Recorded]]:
    """The streams of operators, of whoever did something to them, and so on; `known` as well."""
    found = dict(known or {})
    left = list(actors)
    while left:
        actor = left.pop()
        if actor not in found and is_operator(actor):
            found[actor] = await read_stream(connection, operator_id(actor))
            left += [_actor(one) for one in found[actor]]
    return found


def is_operator(actor: str) -> bool:
    """Whether an actor is an operator by name."""
    return actor.startswith(_OPERATOR)


def operator_id(actor: str) -> UUID:
    """The operator that an actor names."""
    return UUID(actor.removeprefix(_OPERATOR))


def one_hand(proposed: Act, approved: Act, histories: Histories) -> str | None:
    """Why the approver is within the proposer's hand, or the proposer within the approver's, in
    words that follow "the approver"; None where neither is.

    histories: of both, and of all their makers. The proposer is judged as of the proposal, and the
    approver as of the approval. What an operator did itself does not count.
    """
    makings = list(_makings(approved, histories))
    for making in makings:
        if making.maker == proposed.actor:
            return f"{making.what} by the proposer"
        if proposed.actor in _makers(Act(making.maker, approved.at), histories, _TOKEN_KNOWN):
            return f"{making.what} by {making.maker}, whom the proposer made"
    if approved.actor in _makers(proposed, histories, _TOKEN_KNOWN):
        return "made the proposer, or who made it"
    for making in makings:
        if approved.at - making.at < LEAST_AGE:
            return f"{making.what} less than a day before"
    return None


def shared_hand(proposed: Act, approved: Act, histories: Histories) -> str | None:
    """Who may know the tokens of both, the command line as well; None: nobody, as far as is told.

    It is no proof of anything, for two people have their tokens from one who let them in, until
    each has one of its own.
    """
    shared = _makers(proposed, histories, _TOKEN_GIVEN) & _makers(approved, histories, _TOKEN_GIVEN)
    return min(shared, default=None)


def _makers(of: Act, histories: Histories, ways: Container[str]) -> set[str]:
    """Who made an operator in one of these ways, and who made those."""
    found: set[str] = set()
    left = [of.actor]
    while left:
        for making in _makings(Act(left.pop(), of.at), histories):
            if making.what in ways and making.maker not in found:
                found.add(making.maker)
                left.append(making.maker)
    return found


def _makings(of: Act, histories: Histories) -> Iterator[_Making]:
    """What others did to an operator; tokens that were no longer accepted do not count."""
    events = [one for one in histories.get(of.actor, ()) if one.recorded_at <= of.at]
    gone = {one.event.subject for one in events if isinstance(one.event, IdentityUnlinked)}
    for one in events:
        what = _made(one.event, gone)
        maker = _actor(one)
        if what is not None and maker != of.actor:
            yield _Making(what, maker, one.recorded_at)


def _made(event: object, gone: set[str]) -> str | None:
    match event:
        case UserRegistered():
            return _REGISTERED
        case IdentityLinked(subject=subject) if subject not in gone:
            return _TOKEN
        case RoleChanged():
            return "was given its role"
        case UserEnabled():
            return "was let in again"
        case _:
            return None


def _actor(one: Recorded) -> str:
    actor: str = one.event.actor  # type: ignore[attr-defined]  # every event of an operator has one
    return actor
