"""What a client is told of a provider's answer, read again by the client's own format."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from gateway.conversation.parts import Part, Refusal, Text, Thinking, ToolCall
from gateway.conversation.turn import CitationDelta, PartBegun, Stopped, TextDelta
from gateway.errors import GatewayError
from gateway.formats.registry import FORMATS, PROVIDER_FORMATS
from gateway.formats.translator import Translators
from gateway.formats.values import Piece
from gateway.http.sse import SSEParser
from ledger.usage import Usage
from tests.gateway.formats.odd_answers import event_of, text_of
from tests.gateway.formats.test_translator import asking, count_words

USED = Usage(input=3, output=4)


class Told(NamedTuple):
    """The first choice of an answer: its parts, why it ended, and all of it as bytes."""

    parts: list[Part]
    stop: Stopped
    raw: bytes

    @property
    def words(self) -> str:
        return "".join(part.text for part in self.parts if isinstance(part, Text))

    @property
    def thoughts(self) -> str:
        return "".join(part.text for part in self.parts if isinstance(part, Thinking))

    @property
    def calls(self) -> list[tuple[str, str]]:
        return [(part.name, part.arguments) for part in self.parts if isinstance(part, ToolCall)]

    @property
    def call_ids(self) -> list[str]:
        return [part.id for part in self.parts if isinstance(part, ToolCall)]


def told_of_events(provider: str, client: str, events: Sequence[object]) -> Told:
    """A stream of a provider's, as its client reads it. Raises what the client is told of."""
    body = b"".join(event_of(event) for event in events)
    raw = streamed(provider, client, body)
    return read_stream(client, raw)


def streamed(provider: str, client: str, body: bytes) -> bytes:
    """The bytes of a stream for a client. Raises what it is told of."""
    reader = (
        Translators(FORMATS[client], PROVIDER_FORMATS)
        .to(provider)
        .stream(asking(client, is_stream=True), count_words)
    )
    pieces: list[Piece] = [*reader.feed(body), *reader.finish()]
    if reader.error is not None:
        raise reader.error
    assert reader.finished
    passing = ("content", "comment", "usage")
    raw = b"".join(piece.raw for piece in pieces if piece.kind in passing)
    return raw + reader.closing(reader.usage or USED)


def told_of_answer(provider: str, client: str, document: object) -> Told:
    """A whole answer of a provider's, as its client reads it. Raises what it is told of."""
    one = Translators(FORMATS[client], PROVIDER_FORMATS).to(provider)
    whole = one.whole(text_of(document))
    if whole.answer.error is not None:
        raise whole.answer.error
    raw = one.told(asking(client, is_stream=False), whole, USED)
    choice = FORMATS[client].translation.turn(msgspec.json.decode(raw)).choices[0]
    stop = Stopped(
        choice=0,
        stop=choice.stop,
        stop_sequence=choice.stop_sequence,
        stop_word=choice.stop_word,
    )
    return Told(list(choice.parts), stop, raw)


def failure_of_answer(provider: str, client: str, document: object) -> GatewayError | None:
    """What a client is told instead of a whole answer."""
    try:
        told_of_answer(provider, client, document)
    except GatewayError as error:
        return error
    return None


def failure_of_events(provider: str, client: str, events: Sequence[object]) -> GatewayError | None:
    """What a stream ends with instead of its end."""
    try:
        told_of_events(provider, client, events)
    except GatewayError as error:
        return error
    return None


def read_stream(format_name: str, raw: bytes) -> Told:
    """The first choice of a stream."""
    reader = FORMATS[format_name].translation.reader()
    events = [
        told for event in SSEParser().feed(raw) if event.data for told in reader.read(event.data)
    ]
    parts: dict[int, Any] = {}
    stop = Stopped(choice=0, stop="stop")
    for event in (*events, *reader.finish()):
        if getattr(event, "choice", None) != 0:
            continue
        match event:
            case PartBegun(number=number, part=part):
                parts[number] = part
            case TextDelta(number=number, text=text):
                word = "arguments" if isinstance(parts[number], ToolCall) else "text"
                assert isinstance(parts[number], Text | Thinking | Refusal | ToolCall)
                whole = getattr(parts[number], word) + text
                parts[number] = replace(parts[number], **{word: whole})
            case CitationDelta(number=number, citation=citation):
                cited = (*parts[number].citations, citation)
                parts[number] = replace(parts[number], citations=cited)
            case Stopped():
                stop = event
            case _:
                pass
    return Told(list(parts.values()), stop, raw)
