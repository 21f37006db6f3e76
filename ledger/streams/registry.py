"""The list of streams: the only place that names them all."""

from collections.abc import Mapping

from ledger.streams import (
    account,
    adjustment,
    api_key,
    channel,
    credit,
    group,
    price,
    restore,
    seal,
    setting,
    user,
)
from ledger.streams.charge import rules as charge
from ledger.streams.contract import Event, Stream

STREAMS: tuple[Stream, ...] = (
    charge.STREAM,
    credit.STREAM,
    account.STREAM,
    api_key.STREAM,
    user.STREAM,
    channel.STREAM,
    price.STREAM,
    group.STREAM,
    setting.STREAM,
    adjustment.STREAM,
    seal.STREAM,
    restore.STREAM,
)

STREAM_OF: Mapping[type[Event], Stream] = {
    event: stream for stream in STREAMS for event in stream.events
}
EVENT_OF_TOPIC: Mapping[str, type[Event]] = {event.TOPIC: event for event in STREAM_OF}
CLOSING_TOPICS: tuple[str, ...] = tuple(
    event.TOPIC for stream in STREAMS for event in stream.closing
)
CONFIGURATION_TOPICS: tuple[str, ...] = tuple(
    event.TOPIC for stream in STREAMS if stream.is_configuration for event in stream.events
)

_STREAM_OF_TOPIC = {event.TOPIC: stream for event, stream in STREAM_OF.items()}


def stream_of(event: Event) -> Stream:
    """The kind of stream an event belongs to, however much of it was decoded."""
    return _STREAM_OF_TOPIC[event.TOPIC]
