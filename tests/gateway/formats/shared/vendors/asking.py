"""What a vendor is sent of a client's call, and how its answer is told."""

import json
from typing import Any

import msgspec
from msgspec.structs import replace

from gateway.conversation.parts import Text, ToolCall
from gateway.conversation.reasoning_suffixes import Suffix
from gateway.conversation.turn import (
    Begun,
    Choice,
    PartBegun,
    PartEnded,
    Stopped,
    StopReason,
    TextDelta,
    Turn,
)
from gateway.formats.registry import FORMATS
from gateway.formats.translator import Asking, Translators
from gateway.formats.values import ChatCall
from ledger.usage import Usage
from tests.obedient import refusals

MODELS = {
    "openai_chat": "gpt-4.1",
    "openai_responses": "gpt-4.1",
    "anthropic_messages": "claude-sonnet-4-5",
    "gemini": "gemini-2.5-flash",
}


LONG = "mcp__a_server_with_quite_a_long_name__and_a_tool_with_a_still_longer_name"


def call_of(client: str, document: dict[str, Any], *, is_stream: bool = False) -> ChatCall:
    """A client's call."""
    document = document | {"model": "m"} | ({"stream": True} if is_stream else {})
    call = FORMATS[client].read_request(document, msgspec.json.encode(document))
    return replace(call, model="m", stream=is_stream)


def sent(
    client: str, provider: str, document: dict[str, Any], model: str = "", vendor: str = ""
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What a provider is sent, who would not refuse it, and what was lost."""
    asking = Asking(Suffix(model or MODELS[provider]), vendor=vendor)
    out = (
        Translators(FORMATS[client], FORMATS)
        .to(provider)
        .outgoing(call_of(client, document), asking)
    )
    told = json.loads(out.body)
    if provider == "gemini":
        refusals.gemini(told, model or MODELS[provider])
    else:
        refusals.OF_FORMAT[provider](told)
    if vendor in refusals.OF_VENDOR:
        refusals.OF_VENDOR[vendor](told)
    return told, out.losses


def answered(client: str, provider: str, document: dict[str, Any], turn: Turn) -> dict[str, Any]:
    """The whole answer as the client reads it, after a provider's with this turn."""
    call = call_of(client, document)
    translator = Translators(FORMATS[client], FORMATS).to(provider)
    body = FORMATS[provider].translation.answer(asked_of(provider), turn, Usage(output=1))
    told: dict[str, Any] = json.loads(
        translator.told(call, translator.whole(body), Usage(output=1))
    )
    return told


def streamed(client: str, provider: str, document: dict[str, Any], turn: Turn) -> bytes:
    """The same as a stream, every text of the provider in pieces of three characters."""
    call = call_of(client, document, is_stream=True)
    reader = Translators(FORMATS[client], FORMATS).to(provider).stream(call, len)
    writer = FORMATS[provider].translation.writer(asked_of(provider))
    body = writer.write(list(events_of(turn))) + writer.closing(Usage(output=1))
    pieces = [*reader.feed(body), *reader.finish()]
    assert reader.error is None
    told = b"".join(piece.raw for piece in pieces if piece.kind != "end")
    return told + reader.closing(Usage(output=1))


def asked_of(provider: str) -> ChatCall:
    """Whatever the provider was asked."""
    members: dict[str, dict[str, Any]] = {
        "openai_responses": {"input": "x"},
        "anthropic_messages": {"max_tokens": 9, "messages": [{"role": "user", "content": "x"}]},
        "gemini": {"contents": "x"},
    }
    return call_of(provider, members.get(provider, {"messages": [SAID]}))


def events_of(turn: Turn) -> Any:  # noqa: ANN401 - an iterator of events
    yield Begun(id=turn.id, model=turn.model)
    for number, part in enumerate(turn.choices[0].parts):
        assert isinstance(part, Text | ToolCall)
        words = part.text if isinstance(part, Text) else part.arguments
        empty: Text | ToolCall = (
            replace(part, text="") if isinstance(part, Text) else replace(part, arguments="")
        )
        yield PartBegun(choice=0, number=number, part=empty)
        for at in range(0, len(words), 3):
            yield TextDelta(choice=0, number=number, text=words[at : at + 3])
        yield PartEnded(choice=0, number=number)
    yield Stopped(choice=0, stop=turn.choices[0].stop)


def turn_of(*parts: Text | ToolCall, stop: StopReason = "tool_calls") -> Turn:
    return Turn(format="", id="r_1", model="m", choices=(Choice(parts=parts, stop=stop),))


def items_in(told: bytes) -> list[dict[str, Any]]:
    """The output of the last event of a Responses stream."""
    last = [line for line in told.splitlines() if line.startswith(b"data: {")][-1]
    output: list[dict[str, Any]] = json.loads(last[6:])["response"]["output"]
    return output


SAID = {"role": "user", "content": "hi"}


CLAUDE_CODE = {
    "max_tokens": 1,
    "metadata": {"user_id": "user_" + "9" * 180},
    "stop_sequences": ["a", "b", "c", "d", "STOP"],
    "messages": [
        SAID,
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "toolu_" + "y" * 60, "name": LONG, "input": {}}],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "toolu_" + "y" * 60, "content": "r"}
            ],
        },
    ],
    "tools": [
        {"name": LONG, "input_schema": {"type": "object"}},
        {"name": LONG + "_2", "input_schema": {"type": "object", "properties": {"a": {}}}},
        {"name": "short", "input_schema": {"type": "object", "properties": {}}},
    ],
}
