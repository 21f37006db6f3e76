"""What every stream file provides: events, decisions, effects on budgets, and postings."""

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple
from uuid import UUID

import msgspec


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Something that happened. Its topic is literal, versioned, and never renamed.

    Fields with defaults may be added; a change of meaning is a new topic and an upcaster.
    An event is never part of a cycle, so the collector need not know of it: that is a fifth of the
    time of reading one.
    """

    TOPIC: ClassVar[str]


class AccountEvent(Event, frozen=True, kw_only=True, omit_defaults=True):
    """An event that belongs to one account's own numbered sequence (`account_seq`)."""

    account_id: UUID


class Effect(NamedTuple):
    """What one event does to one budget scope; the database applies it with the event.

    `used = held - posted`. A cap is a condition: the event is not stored if `used` would exceed
    it. Only holds carry caps; everything else always succeeds.
    """

    scope: UUID
    held_nanos: int
    posted_nanos: int
    cap_nanos: int | None = None


class Posting(NamedTuple):
    """One leg of a double entry; positive credits the named account, negative debits it."""

    account: str
    amount_nanos: int


def no_effects(event: Event) -> tuple[Effect, ...]:  # noqa: ARG001 - the shape of the contract
    """For streams that move no money."""
    return ()


def no_postings(event: Event) -> tuple[Posting, ...]:  # noqa: ARG001 - the shape of the contract
    """For streams that move no money."""
    return ()


class Stream(NamedTuple):
    """One kind of stream, as the registry lists it.

    initial: a state before any event; evolve(state, event) -> state never refuses;
    decide(state, command) -> events may refuse and changes nothing.
    """

    name: str
    events: tuple[type[Event], ...]
    initial: Callable[[], Any]
    decide: Callable[[Any, Any], tuple[Event, ...]]
    evolve: Callable[[Any, Any], Any]
    effects: Callable[[Any], tuple[Effect, ...]] = no_effects
    postings: Callable[[Any], tuple[Posting, ...]] = no_postings
    is_configuration: bool = False
    closing: tuple[type[Event], ...] = ()
