"""Every recorded exchange through every pair of formats: nothing fails, and nothing is billed
twice or lost."""

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from gateway.conversation.parts import Text
from gateway.conversation.request import Conversation
from gateway.conversation.turn import PartBegun, TextDelta
from gateway.errors import InvalidRequest
from gateway.formats.contract import Format, StreamReader
from gateway.formats.registry import FORMATS
from gateway.formats.translator import PassingThrough, Translating, Translator, Translators
from gateway.formats.values import ChatCall, Piece
from gateway.http.sse import SSEParser
from ledger.usage import Usage
from tests.recorded import Recording, recordings

OF_FORMAT = {
    "openai_chat": recordings("openai-chat-chat"),
    "openai_responses": recordings("openai-responses-responses"),
    "anthropic_messages": recordings("anthropic-messages-anthropic"),
    "gemini": recordings("gemini-generate-gemini"),
}
KEPT_AT_A_PROVIDER = ("background", "previous_response_id", "cachedContent")
"""Members of recorded requests that we refuse: the next call may go to another provider."""
WITH_USAGE_ON_DEMAND = ("openai_chat", "openai_completions")
"""Clients whose streams tell usage only if asked, in a piece of its own."""

Pair = tuple[str, str, Recording]
PAIRS = [
    (client, format_name, recording)
    for client in FORMATS
    for format_name, recorded in OF_FORMAT.items()
    for recording in recorded
]


def each(pairs: Sequence[Pair]) -> pytest.MarkDecorator:
    """A test for every client of a recording."""
    named = [pytest.param(*pair, id=f"{pair[0]}<-{pair[2].name}") for pair in pairs]
    return pytest.mark.parametrize(("client", "format_name", "recording"), named)


def count_words(texts: Sequence[str]) -> int:
    return sum(len(text.split()) for text in texts)


def request_of(format_name: str, recording: Recording) -> ChatCall:
    document = recording.document
    for name in KEPT_AT_A_PROVIDER:
        document.pop(name, None)
    call = FORMATS[format_name].read_request(document, msgspec.json.encode(document))
    return replace(call, model=call.model or "m", stream=recording.is_stream)


def asking(client: str, is_stream: bool) -> ChatCall:
    """A small request of a client's."""
    documents: dict[str, dict[str, Any]] = {
        "openai_chat": {"messages": [{"role": "user", "content": "x"}]},
        "openai_responses": {"input": "x"},
        "openai_completions": {"prompt": "x"},
        "anthropic_messages": {"messages": [{"role": "user", "content": "x"}], "max_tokens": 9},
        "gemini": {"contents": [{"role": "user", "parts": [{"text": "x"}]}]},
    }
    document = documents[client] | {"model": "m"}
    if client in WITH_USAGE_ON_DEMAND and is_stream:
        document |= {"stream": True, "stream_options": {"include_usage": True}}
    call = FORMATS[client].read_request(document, msgspec.json.encode(document))
    return replace(call, model="m", stream=is_stream)


def translator(client: str, provider: str) -> Translator:
    return Translators(FORMATS[client], FORMATS).to(provider)


def read_as(format_name: Format, call: ChatCall, stream: bytes) -> StreamReader:
    reader = format_name.stream(call, count_words)
    reader.feed(stream)
    reader.finish()
    assert reader.error is None
    return reader


def of_client(usage: Usage) -> tuple[int, int, int]:
    """What every format can say: all input, what of it was cached, all output."""
    given = usage.input + usage.cache_write_5m + usage.cache_write_1h + usage.audio_in
    made = usage.output + usage.reasoning + usage.audio_out + usage.image_out
    return given + usage.image_in + usage.cache_read, usage.cache_read, made


def is_prompt(conversation: Conversation) -> bool:
    """Whether a conversation is no more than what legacy completions take."""
    (first, *more) = conversation.messages
    is_one_text = first.role == "user" and all(isinstance(part, Text) for part in first.parts)
    has_form = conversation.output is not None and conversation.output.kind != "text"
    return is_one_text and not (more or conversation.tools or has_form)


def has_words(format_name: str, stream: bytes) -> bool:
    """Whether a stream says anything but thoughts and calls of tools."""
    reader = FORMATS[format_name].translation.reader()
    events = [
        event for one in SSEParser().feed(stream) if one.data for event in reader.read(one.data)
    ]
    worded = {
        (event.choice, event.number)
        for event in events
        if isinstance(event, PartBegun) and isinstance(event.part, Text)
    }
    return any(
        (event.choice, event.number) in worded for event in events if isinstance(event, TextDelta)
    )


@each(PAIRS)
def test_a_recorded_request_can_be_told_in_every_format(
    client: str, format_name: str, recording: Recording
) -> None:
    """`client` is here the format of the provider that is told."""
    call = request_of(format_name, recording)
    conversation = FORMATS[format_name].translation.conversation(call)
    upstream_model = call.model if client == format_name else "m"
    if client == "openai_completions" and not is_prompt(conversation):
        with pytest.raises(InvalidRequest) as refusal:
            FORMATS[client].translation.request(conversation, upstream_model)
        assert refusal.value.code == "not_expressible"
        return
    written = FORMATS[client].translation.request(conversation, upstream_model)
    again = FORMATS[client].read_request(written.document, msgspec.json.encode(written.document))
    if client == format_name:
        assert written.losses == ()
    assert FORMATS[client].prompt(again).fixed_tokens > 0


@each([pair for pair in PAIRS if not pair[2].is_stream])
def test_a_recorded_answer_reaches_every_client_with_what_is_billed(
    client: str, format_name: str, recording: Recording
) -> None:
    call = asking(client, is_stream=False)
    one = translator(client, format_name)
    whole = one.whole(recording.response)
    usage = whole.answer.usage or Usage(input=3, output=4)
    told = one.told(call, whole, usage)
    if client == format_name:
        assert told == recording.response
        return
    read = FORMATS[client].read_answer(told)
    assert read.error is None
    assert read.usage is not None
    assert of_client(read.usage) == of_client(usage)
    streamed = one.told(replace(call, stream=True), whole, usage)
    reader = read_as(FORMATS[client], replace(call, stream=True), streamed)
    assert reader.finished
    assert reader.saw_content == bool("".join(read.output_texts))


@each([pair for pair in PAIRS if pair[2].is_stream])
def test_a_recorded_stream_reaches_every_client_with_what_is_billed(
    client: str, format_name: str, recording: Recording
) -> None:
    call = asking(client, is_stream=True)
    reader = translator(client, format_name).stream(call, count_words)
    body = recording.response
    pieces: list[Piece] = []
    for at in range(0, len(body), 701):
        pieces += reader.feed(body[at : at + 701])
    pieces += reader.finish()
    assert reader.error is None
    assert reader.finished
    usage = reader.usage
    assert usage is not None
    passed = b"".join(piece.raw for piece in pieces if piece.kind in ("content", "comment"))
    if client in WITH_USAGE_ON_DEMAND:
        passed += b"".join(piece.raw for piece in pieces if piece.kind == "usage")
    told = passed + reader.closing(usage)
    if client == format_name:
        assert told.rstrip() == body.rstrip()
        return
    again = read_as(FORMATS[client], call, told)
    assert again.finished
    assert again.usage is not None
    assert of_client(again.usage) == of_client(usage)
    if client == "openai_completions":  # it has words for words alone
        assert again.saw_content == has_words(format_name, body)
    else:
        assert again.saw_content


def test_only_the_same_format_passes() -> None:
    for name, format_name in FORMATS.items():
        translators = Translators(format_name, FORMATS)
        for other in FORMATS:
            assert isinstance(
                translators.to(other), PassingThrough if other == name else Translating
            )


@pytest.mark.parametrize("client", [name for name in FORMATS if name != "openai_chat"])
def test_an_odd_event_breaks_the_stream_and_nothing_else(client: str) -> None:
    reader = translator(client, "openai_chat").stream(asking(client, is_stream=True), count_words)
    odd = json.dumps({"choices": [{"delta": {"tool_calls": [3]}}]})
    (piece,) = reader.feed(f"data: {odd}\n\n".encode())
    assert piece.kind == "error"
    assert reader.error is not None
    assert reader.feed(b"data: {}\n\n") == []
