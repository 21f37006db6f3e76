"""Between events and the bytes that are stored: JSON, written once and hashed as written."""

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import NoReturn, cast

import msgspec

from ledger.errors import UnknownTopic
from ledger.streams.contract import Event
from ledger.streams.registry import EVENT_OF_TOPIC

_ENCODER = msgspec.json.Encoder(order="deterministic")
_DECODERS = {topic: msgspec.json.Decoder(event) for topic, event in EVENT_OF_TOPIC.items()}

UPCASTERS: Mapping[str, Callable[[bytes], Event]] = {}
"""Topics no longer written, and how each becomes an event of today. Nothing to upcast yet."""


def encode(event: Event) -> bytes:
    """The bytes of an event's state."""
    return _ENCODER.encode(event)


def decode(topic: str, state: bytes) -> Event:
    """The event of stored bytes. Raises UnknownTopic; nothing may fold past such an event."""
    decoder = _DECODERS.get(topic)
    if decoder is not None:
        return decoder.decode(state)
    if topic in UPCASTERS:
        return UPCASTERS[topic](state)
    raise UnknownTopic(f"this release does not know the event {topic!r}")


class _Unread:
    """Stands for a member that was skipped: whoever looks at it made a mistake."""

    def _looked_at(self, *_: object) -> NoReturn:
        raise AttributeError("a member of the event is looked at that was not asked for")

    def __getattr__(self, name: str) -> NoReturn:
        self._looked_at()

    def __iter__(self) -> Iterator[NoReturn]:
        self._looked_at()

    def __eq__(self, other: object) -> bool:
        self._looked_at()

    def __bool__(self) -> bool:
        self._looked_at()

    __hash__ = None  # type: ignore[assignment]  # as everything that compares by what it holds


UNREAD = _Unread()


@lru_cache(maxsize=1_024)
def decoder_of(event: type[Event], members: frozenset[str]) -> Callable[[bytes], Event]:
    """Decodes these members of an event and steps over all others, which is what decoding costs.

    What it gives is of a subclass of `event`, in which every other member is UNREAD; they are not
    validated.
    """
    skipped = [name for name in event.__struct_fields__ if name not in members]
    partial = msgspec.defstruct(
        event.__name__,
        [(name, object, UNREAD) for name in skipped],
        bases=(event,),
        rename={name: f"-{name}" for name in skipped},  # no document has a member of this name
        frozen=True,
        kw_only=True,
    )
    return cast("Callable[[bytes], Event]", msgspec.json.Decoder(partial).decode)


def schemas() -> dict[str, object]:
    """The JSON Schema (2020-12) of every event's state, by topic, as committed in the tree."""
    events = list(EVENT_OF_TOPIC.values())
    documents, definitions = msgspec.json.schema_components(events, ref_template="#/$defs/{name}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "topics": dict(zip(EVENT_OF_TOPIC, documents, strict=True)),
        "$defs": definitions,
    }
