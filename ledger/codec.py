"""Between events and the bytes that are stored: JSON, written once and hashed as written."""

from collections.abc import Callable, Mapping

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


def schemas() -> dict[str, object]:
    """The JSON Schema (2020-12) of every event's state, by topic, as committed in the tree."""
    events = list(EVENT_OF_TOPIC.values())
    documents, definitions = msgspec.json.schema_components(events, ref_template="#/$defs/{name}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "topics": dict(zip(EVENT_OF_TOPIC, documents, strict=True)),
        "$defs": definitions,
    }
