"""B8: whatever a provider answers, its reader says that it cannot be read or leaves out what it
cannot read; nothing else is raised, and what a client is told is whole and of its own format.

Every format as a provider's, every format as a client's, whole and streamed; the cases are numbers,
so that one that failed is tried again by its number. `--long` tries many more.
"""

import contextlib
import copy
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.conversation.turn import TextDelta
from gateway.errors import AnswerFailed, GatewayError
from gateway.formats.contract import StreamReader, UnreadableAnswer
from gateway.formats.registry import FORMATS, PROVIDER_FORMATS
from gateway.formats.translator import Translators
from gateway.formats.values import Piece
from gateway.http.sse import SSEParser
from ledger.usage import Usage
from tests.gateway.formats.odd_answers import (
    EVENTS,
    WHOLE,
    event_of,
    streamed_answer,
    text_of,
    whole_answer,
)
from tests.gateway.formats.test_translator import asking, count_words

PAIRS = [(provider, client) for provider in PROVIDER_FORMATS for client in FORMATS]
each_pair = pytest.mark.parametrize(
    ("provider", "client"), PAIRS, ids=["<-".join(pair[::-1]) for pair in PAIRS]
)
SHORT_CASES, LONG_CASES = 60, 20_000
"""Of each kind: for one pair in the short form, for all of them together in the long."""
BILLED = Usage(input=3, output=4)


def cases(is_long: bool) -> range:
    return range(LONG_CASES // len(PAIRS) if is_long else SHORT_CASES)


@pytest.mark.parametrize(
    ("provider", "client"), PAIRS, ids=["<-".join(pair[::-1]) for pair in PAIRS]
)
def test_b8_an_odd_whole_answer_breaks_nothing(provider: str, client: str, is_long: bool) -> None:
    broken = []
    for case in cases(is_long):
        body = whole_answer(provider, case)
        for is_stream in (False, True):
            try:
                told = told_whole(provider, client, body, is_stream)
                if told is not None and provider != client:
                    assert_lawful(client, told, is_stream)
            except Exception as fault:  # noqa: BLE001 - all of them are told together
                broken.append((case, is_stream, repr(fault)))
    assert broken == []


@pytest.mark.parametrize(
    ("provider", "client"), PAIRS, ids=["<-".join(pair[::-1]) for pair in PAIRS]
)
def test_b8_an_odd_stream_breaks_nothing(provider: str, client: str, is_long: bool) -> None:
    broken = []
    for case in cases(is_long):
        try:
            told = told_stream(provider, client, streamed_answer(provider, case), case)
            if told is not None and provider != client:
                assert_lawful(client, told, is_stream=True)
        except Exception as fault:  # noqa: BLE001 - all of them are told together
            broken.append((case, repr(fault)))
    assert broken == []


def told_whole(provider: str, client: str, body: bytes, is_stream: bool) -> bytes | None:
    """What a client reads of a whole answer; None where it is told of a provider's error."""
    call = asking(client, is_stream)
    translator = Translators(FORMATS[client], PROVIDER_FORMATS).to(provider)
    try:
        whole = translator.whole(body)
        if whole.answer.error is not None:
            assert_error(client, whole.answer.error)
            return None
        first = translator.told(call, whole, Usage())
    except UnreadableAnswer:
        return None
    answer = whole.answer
    count_words(answer.output_texts)
    assert isinstance(answer.usage, Usage | None)
    assert isinstance(answer.anomaly, str | None)
    assert isinstance(answer.service, str | None)
    assert isinstance(answer.stored_id, str)
    assert all(isinstance(item, str) for item in answer.stored_items)
    assert isinstance(answer.tools, Usage)
    told = translator.told(call, whole, answer.usage or BILLED)
    return told or first


def told_stream(provider: str, client: str, body: bytes, case: int) -> bytes | None:
    """What a client reads of a stream; None where it ends with the error of a provider."""
    reader = (
        Translators(FORMATS[client], PROVIDER_FORMATS)
        .to(provider)
        .stream(asking(client, is_stream=True), count_words)
    )
    chance = random.Random(case)
    told = b""
    for chunk in _cut(body, chance):
        told += _passed(reader, reader.feed(chunk))
        if reader.error is not None:
            break
    else:
        told += _passed(reader, reader.finish())
    assert isinstance(reader.delivered.count(), int)
    if reader.error is not None:
        assert FORMATS[client].stream_error(reader.error)
        assert reader.feed(b"data: {}\n\n") == []
        return None
    if not reader.finished:
        return None  # the relay says that the provider broke off
    try:
        return told + reader.closing(reader.usage or BILLED)
    except UnreadableAnswer:
        return None


def _passed(reader: StreamReader, pieces: list[Piece]) -> bytes:
    """The bytes that go on; everything the relay asks of a reader is asked."""
    assert isinstance(reader.usage, Usage | None)
    assert isinstance(reader.anomaly, str | None)
    assert isinstance(reader.service, str | None)
    assert isinstance(reader.stored_id, str)
    assert all(isinstance(item, str) for item in reader.stored_items)
    assert isinstance(reader.tools, Usage)
    assert isinstance(reader.output_tokens_at_least(), int)
    assert all(piece.error is reader.error for piece in pieces if piece.kind == "error")
    passing = ("content", "comment", "usage")
    return b"".join(piece.raw for piece in pieces if piece.kind in passing)


def _cut(body: bytes, chance: random.Random) -> Iterator[bytes]:
    at = 0
    while at < len(body):
        size = chance.choice((7, 200, 5_000))
        yield body[at : at + size]
        at += size


def assert_error(client: str, error: GatewayError) -> None:
    status, _, body = FORMATS[client].error_body(error, "r")
    assert 400 <= status < 600
    json.loads(body)


def assert_lawful(client: str, told: bytes, is_stream: bool) -> None:
    """Strict JSON, in events where those were asked for, and understood as the client's format."""
    one = FORMATS[client]
    if not is_stream:
        document = strictly(told)
        assert one.read_answer(told).error is None
        with contextlib.suppress(AnswerFailed):  # Gemini has a word for a call that is none
            one.translation.turn(document)
        return
    reader = one.stream(replace(asking(client, is_stream=True)), count_words)
    reader.feed(told)
    reader.finish()
    assert reader.error is None
    assert reader.finished
    events = one.translation.reader()
    for event in SSEParser().feed(told):
        if event.data:
            if event.data != b"[DONE]":
                strictly(event.data)
            with contextlib.suppress(AnswerFailed):
                events.read(event.data)
    with contextlib.suppress(AnswerFailed):
        events.finish()


def strictly(told: bytes) -> dict[str, Any]:
    def refuse(constant: str) -> float:
        raise AssertionError(f"{constant} is no JSON")

    document = json.loads(told.decode(), parse_constant=refuse)
    assert isinstance(document, dict)
    json.dumps(document, ensure_ascii=False).encode()  # no half of a surrogate pair
    return document


# ---------------------------------------------------------------------- examples


@each_pair
def test_b8_answers_that_are_lawful_are_told(provider: str, client: str) -> None:
    """Else all of the above would hold of a reader that refuses everything."""
    for document in WHOLE[provider]:
        for is_stream in (False, True):
            assert told_whole(provider, client, text_of(document), is_stream)
    for number, events in enumerate(EVENTS[provider]):
        body = b"".join(event_of(event) for event in events)
        assert told_stream(provider, client, body, number), number


PATHS: dict[str, tuple[str | int, ...]] = {
    "openai_chat": ("choices", 0, "message", "content"),
    "openai_responses": ("output", 1, "content", 0, "text"),
    "openai_completions": ("choices", 0, "text"),
    "anthropic_messages": ("content", 2, "text"),
    "gemini": ("candidates", 0, "content", "parts", 1, "text"),
    "bedrock_converse": ("output", "message", "content", 2, "text"),
}
"""Where words stand in the first of the lawful answers."""


@each_pair
@pytest.mark.parametrize(
    ("halves", "read_as"),
    [
        ("x\ud83d", "x\ufffd"),
        ("\ude00x\ud83d!", "\ufffdx\ufffd!"),
        ("\\ud83d \ud83d\ude00 \ud83d", "\\ud83d \U0001f600 \ufffd"),
    ],
    ids=["behind", "before", "beside whole ones"],
)
def test_b6_half_of_a_surrogate_pair_is_replaced_where_it_is_written_anew(
    provider: str, client: str, halves: str, read_as: str
) -> None:
    """Passed as it is where bytes pass; whole, and told as a stream."""
    document = _with(WHOLE[provider][0], PATHS[provider], halves)
    told = told_whole(provider, client, text_of(document), is_stream=False)
    assert told is not None
    if provider == client:
        assert told == text_of(document)
        return
    assert read_as in "".join(FORMATS[client].read_answer(told).output_texts)
    streamed = told_whole(provider, client, text_of(document), is_stream=True)
    assert streamed is not None
    assert read_as in _said(client, streamed)


@pytest.mark.parametrize("client", FORMATS)
@pytest.mark.parametrize("provider", PROVIDER_FORMATS)
def test_b6_half_of_a_surrogate_pair_in_a_stream(provider: str, client: str) -> None:
    body = b"".join(event_of(event) for event in EVENTS[provider][0])
    halved = body.replace(b'"so"', b'"x\\ud83d"').replace(b'{\\"a\\":1}', b'{\\"a\\ud83d\\":1}')
    assert halved != body or provider == "openai_completions"
    halved = halved.replace(b'"text": "o"', b'"text": "x\\ud83d"')
    told = told_stream(provider, client, halved, case=0)
    assert told is not None
    if provider == client:
        assert told.startswith(halved.rstrip())
        return
    assert_lawful(client, told, is_stream=True)
    assert "x\ufffd" in _said(client, told)


def test_b6_in_the_message_of_an_error() -> None:
    body = b'{"error":{"message":"no \\ud83d","type":"invalid_request_error","code":400}}'
    for provider in PROVIDER_FORMATS.values():
        error = provider.classify_failure(400, {}, body)
        for client in FORMATS:
            assert_error(client, error)


@pytest.mark.parametrize("client", FORMATS)
@pytest.mark.parametrize(
    ("provider", "at", "odd"),
    [
        ("gemini", ("candidates", 0, "content", "parts"), 5),
        ("gemini", ("candidates",), [1]),
        ("openai_chat", ("choices", 0, "message", "content"), [1]),
        ("openai_chat", ("choices",), {"a": 1}),
        ("anthropic_messages", ("content",), [1]),
        ("anthropic_messages", ("usage",), [5]),
        ("openai_responses", ("output", 1, "content"), 5),
        ("bedrock_converse", ("output", "message", "content"), [1]),
    ],
)
def test_b8_the_examples(
    provider: str, client: str, at: tuple[str | int, ...], odd: object
) -> None:
    body = text_of(_with(WHOLE[provider][0], at, odd))
    for is_stream in (False, True):
        told = told_whole(provider, client, body, is_stream)
        if told is not None and provider != client:
            assert_lawful(client, told, is_stream)


def _with(document: dict[str, Any], at: tuple[str | int, ...], value: object) -> dict[str, Any]:
    changed = copy.deepcopy(document)
    holder: Any = changed
    for step in at[:-1]:
        holder = holder[step]
    holder[at[-1]] = value
    return changed


def _said(client: str, stream: bytes) -> str:
    """Every text of a stream in a client's format."""
    reader = FORMATS[client].translation.reader()
    events = [
        told for event in SSEParser().feed(stream) if event.data for told in reader.read(event.data)
    ]
    return "".join(event.text for event in events if isinstance(event, TextDelta))
