"""What a channel changes: its system prompt, thoughts told as text, answers written anew."""

import json
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from gateway.conversation.parts import Text, Thinking
from gateway.conversation.reasoning_suffixes import Suffix
from gateway.conversation.turn import PartBegun, TextDelta
from gateway.formats.registry import FORMATS
from gateway.formats.translator import Asking, Translators
from gateway.formats.values import Piece
from ledger.streams.routes import Shaping
from ledger.usage import Usage
from tests.gateway.formats.test_translator import OF_FORMAT, asking, count_words, each, read_as
from tests.recorded import Recording

THOUGHTS_AS_TEXT = Shaping(thinking_to_content=True)
SAME = [
    (format_name, format_name, one)
    for format_name, recorded in OF_FORMAT.items()
    for one in recorded
]
ANY = [(client, format_name, one) for client in FORMATS for _, format_name, one in SAME]
WORDS = "Answer in rhymes."
LED = [name for name in FORMATS if name != "openai_completions"]
"""Formats with a place for a system prompt."""

USER = {"role": "user", "content": "x"}
NONE_OF_ITS_OWN: dict[str, dict[str, Any]] = {
    "openai_chat": {"model": "m", "messages": [USER]},
    "openai_responses": {"model": "m", "input": "x"},
    "openai_completions": {"model": "m", "prompt": "x"},
    "anthropic_messages": {"model": "m", "max_tokens": 9, "messages": [USER]},
    "gemini": {"contents": [{"role": "user", "parts": [{"text": "x"}]}]},
}
ITS_OWN: dict[str, dict[str, Any]] = {
    "openai_chat": {"messages": [{"role": "system", "content": "Be brief."}, USER]},
    "openai_responses": {"instructions": "Be brief."},
    "anthropic_messages": {"system": "Be brief."},
    "gemini": {"systemInstruction": {"parts": [{"text": "Be brief."}]}},
}
BARE: dict[str, dict[str, Any]] = ITS_OWN | {"gemini": {"systemInstruction": "Be brief."}}
IN_PARTS: dict[str, dict[str, Any]] = {
    "openai_chat": {
        "messages": [
            {"role": "developer", "content": [{"type": "text", "text": "Be brief."}]},
            USER,
        ]
    },
    "openai_responses": {"input": [{"role": "developer", "content": "Be brief."}, USER]},
    "anthropic_messages": {
        "system": [
            {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}},
        ]
    },
    "gemini": {"system_instruction": {"role": "user", "parts": [{"text": "Be brief."}]}},
}


def led(client: str, provider: str, document: dict[str, Any], before_own: bool) -> list[str]:
    """The system's words that the provider reads."""
    call = FORMATS[client].read_request(document, msgspec.json.encode(document))
    ask = Asking(Suffix("m"), WORDS, before_own)
    sent = Translators(FORMATS[client], FORMATS).to(provider).outgoing(call, ask).body
    understood = FORMATS[provider].read_request(json.loads(sent), sent)
    conversation = FORMATS[provider].translation.conversation(understood)
    words: list[str] = []
    for message in conversation.messages:
        if message.role in ("system", "developer"):
            words += [getattr(part, "text", "?") for part in message.parts]
    return "\n".join(words).split("\n")


@pytest.mark.parametrize("provider", LED)
@pytest.mark.parametrize("client", NONE_OF_ITS_OWN)
@pytest.mark.parametrize("before_own", [True, False])
def test_a_channels_prompt_stands_in_where_the_client_has_none(
    client: str, provider: str, before_own: bool
) -> None:
    assert led(client, provider, NONE_OF_ITS_OWN[client], before_own) == [WORDS]


@pytest.mark.parametrize("provider", LED)
@pytest.mark.parametrize("client", ITS_OWN)
@pytest.mark.parametrize("own", [ITS_OWN, BARE, IN_PARTS], ids=["text", "bare", "parts"])
def test_a_clients_own_prompt_stays_and_the_channels_goes_before_it_if_it_leads(
    client: str, provider: str, own: dict[str, dict[str, Any]]
) -> None:
    document = NONE_OF_ITS_OWN[client] | own[client]
    assert led(client, provider, document, before_own=False) == ["Be brief."]
    assert led(client, provider, document, before_own=True) == [WORDS, "Be brief."]


def thinks(recording: Recording) -> bool:
    told = b"thinking_delta", b'"thinking"', b"reasoning_content", b'"thought"', b"summary_text"
    return any(mark in recording.response for mark in told)


def words_of(client: str, body: bytes, is_stream: bool) -> str:
    """Everything the client reads as words of the answer, thoughts left out."""
    if not is_stream:
        turn = FORMATS[client].translation.turn(json.loads(body))
        parts = [part for choice in turn.choices for part in choice.parts]
        return "".join(part.text for part in parts if isinstance(part, Text))
    words: list[str] = []
    thoughts: set[tuple[int, int]] = set()
    reader = FORMATS[client].translation.reader()
    plain = FORMATS[client].stream(asking(client, is_stream=True), count_words)
    for piece in [*plain.feed(body), *plain.finish()]:
        for event in reader.read(piece.data) if piece.data else ():
            match event:
                case PartBegun(choice=choice, number=number, part=Thinking()):
                    thoughts.add((choice, number))
                case TextDelta(choice=choice, number=number, text=text):
                    words += [] if (choice, number) in thoughts else [text]
                case _:
                    pass
    return "".join(words)


@each([pair for pair in ANY if thinks(pair[2])])
def test_thoughts_are_told_as_text_to_every_client(
    client: str, format_name: str, recording: Recording
) -> None:
    call = asking(client, is_stream=recording.is_stream)
    translator = Translators(FORMATS[client], FORMATS).to(format_name, THOUGHTS_AS_TEXT)
    if recording.is_stream:
        reader = translator.stream(call, count_words)
        pieces: list[Piece] = [*reader.feed(recording.response), *reader.finish()]
        assert reader.error is None
        body = b"".join(piece.raw for piece in pieces) + reader.closing(reader.usage or Usage())
        read_as(FORMATS[client], call, body)
    else:
        body = translator.told(call, translator.whole(recording.response), Usage())
    words = words_of(client, body, recording.is_stream)
    assert words.count("<think>\n") == words.count("\n</think>\n")
    if has_readable_thoughts(format_name, recording):
        assert "<think>\n" in words


def has_readable_thoughts(format_name: str, recording: Recording) -> bool:
    """Whether any of the thoughts has words: many are sealed."""
    reader = FORMATS[format_name].translation.reader()
    if not recording.is_stream:
        turn = FORMATS[format_name].translation.turn(json.loads(recording.response))
        parts = [part for choice in turn.choices for part in choice.parts]
        return any(isinstance(part, Thinking) and part.text for part in parts)
    plain = FORMATS[format_name].stream(asking(format_name, is_stream=True), count_words)
    thoughts: set[tuple[int, int]] = set()
    has_words = False
    for piece in [*plain.feed(recording.response), *plain.finish()]:
        for event in reader.read(piece.data) if piece.data else ():
            match event:
                case PartBegun(choice=choice, number=number, part=Thinking(text=text)):
                    thoughts.add((choice, number))
                    has_words |= bool(text)
                case TextDelta(choice=choice, number=number, text=text):
                    has_words |= bool(text) and (choice, number) in thoughts
                case _:
                    pass
    return has_words


@each([pair for pair in SAME if not pair[2].is_stream])
def test_an_answer_written_anew_says_the_same(
    client: str, format_name: str, recording: Recording
) -> None:
    call = asking(client, is_stream=False)
    translator = Translators(FORMATS[client], FORMATS).to(format_name, Shaping(force_format=True))
    whole = translator.whole(recording.response)
    usage = whole.answer.usage or Usage()
    told = translator.told(call, whole, usage)
    assert told != recording.response
    before = FORMATS[client].translation.turn(json.loads(recording.response))
    after = FORMATS[client].translation.turn(json.loads(told))
    assert after.choices == before.choices


def test_a_request_over_such_a_channel_keeps_its_bytes() -> None:
    for name, format_name in FORMATS.items():
        document = NONE_OF_ITS_OWN[name]
        call = format_name.read_request(document, msgspec.json.encode(document))
        call = replace(call, model="m")
        translator = Translators(format_name, FORMATS).to(name, Shaping(force_format=True))
        assert translator.outgoing(call, Asking(Suffix("m"))).body == call.body
