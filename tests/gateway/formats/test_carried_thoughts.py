"""What another vendor's model thought before a call comes back to it through clients of Gemini's
format, who leave out thoughts and keep what signs a call.
"""

import base64
import json
from typing import Any

import msgspec
import pytest
from google.genai import types
from msgspec.structs import replace

from gateway.conversation.parts import Part, Text, Thinking, ToolCall
from gateway.conversation.reasoning_suffixes import Suffix
from gateway.conversation.turn import (
    Begun,
    Choice,
    PartBegun,
    PartEnded,
    SignatureDelta,
    Stopped,
    TextDelta,
    Turn,
)
from gateway.formats.gemini.carried_thoughts import MARK, UNSIGNED, carried, restored
from gateway.formats.registry import FORMATS
from gateway.formats.translator import Asking, Translators
from gateway.formats.values import ChatCall
from gateway.http.sse import SSEParser
from ledger.usage import Usage
from tests.obedient import refusals

GEMINI = FORMATS["gemini"]
SEALED = "EqQBCkYICBgCKkDs+/="
THOUGHT = Thinking(text="let me see: 🦜", signature=SEALED, signed_by="anthropic_messages")
HIDDEN = Thinking(text="", signature="EmwKAhgB", signed_by="anthropic_messages", is_redacted=True)
LOOK = ToolCall(id="toolu_1", name="look", arguments='{"at":1}')
HEAR = ToolCall(id="toolu_2", name="hear", arguments='{"at":2}')
SAID: list[Part] = [THOUGHT, HIDDEN, Text(text="I look"), LOOK, HEAR]
THINKING = {"thinkingConfig": {"includeThoughts": True, "thinkingBudget": 2_000}}


def asked(*contents: dict[str, Any]) -> ChatCall:
    tools = [{"functionDeclarations": [{"name": name} for name in ("look", "hear")]}]
    user = {"role": "user", "parts": [{"text": "go"}]}
    document = {"contents": [user, *contents], "tools": tools, "generationConfig": THINKING}
    call = GEMINI.read_request(document, msgspec.json.encode(document))
    return replace(call, model="m")


def told(parts: list[Part], is_stream: bool) -> list[dict[str, Any]]:
    """The parts of an answer, as a client reads them."""
    if not is_stream:
        turn = Turn(
            format="", id="i", model="m", choices=(Choice(parts=tuple(parts), stop="tool_calls"),)
        )
        answer = json.loads(GEMINI.translation.answer(asked(), turn, Usage()))
        parts_told: list[dict[str, Any]] = answer["candidates"][0]["content"]["parts"]
        return parts_told
    writer = GEMINI.translation.writer(asked())
    written = writer.write([Begun(id="i", model="m"), *events_of(parts)])
    written += writer.closing(Usage())
    return [
        part
        for event in SSEParser().feed(written)
        for part in json.loads(event.data)["candidates"][0]["content"]["parts"]
    ]


def events_of(parts: list[Part]) -> list[Any]:
    events: list[Any] = []
    for number, part in enumerate(parts):
        at = {"choice": 0, "number": number}
        match part:
            case Thinking(text=text, signature=signature) if text:
                begun: Part = Thinking(text="")
                half = len(signature) // 2
                rest: list[Any] = [
                    TextDelta(**at, text=text[:3]),
                    TextDelta(**at, text=text[3:]),
                    SignatureDelta(**at, signature=signature[:half], signed_by=part.signed_by),
                    SignatureDelta(**at, signature=signature[half:], signed_by=part.signed_by),
                ]
                if not signature:
                    del rest[2:]
            case ToolCall(arguments=arguments):
                begun, rest = replace(part, arguments=""), [TextDelta(**at, text=arguments)]
            case Text(text=text):
                begun, rest = Text(text=""), [TextDelta(**at, text=text)]
            case _:
                begun, rest = part, []
        events += [PartBegun(**at, part=begun), *rest, PartEnded(**at)]
    return [*events, Stopped(choice=0, stop="tool_calls")]


def answered(parts: list[dict[str, Any]], keeps_thoughts: bool) -> ChatCall:
    """The next request of a client: gemini-cli leaves out thoughts, Google's SDK keeps them."""
    kept = [part for part in parts if keeps_thoughts or not part.get("thought")]
    results = [
        {"functionResponse": {"id": one["id"], "name": one["name"], "response": {"output": "x"}}}
        for part in parts
        if (one := part.get("functionCall"))
    ]
    return asked({"role": "model", "parts": kept}, {"role": "user", "parts": results})


def sent(call: ChatCall, provider: str, model: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    outgoing = Translators(GEMINI, FORMATS).to(provider).outgoing(call, Asking(Suffix(model)))
    document: dict[str, Any] = json.loads(outgoing.body)
    return document, outgoing.losses


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize("keeps_thoughts", [False, True])
def test_claude_thinks_on_while_it_uses_tools(is_stream: bool, keeps_thoughts: bool) -> None:
    call = answered(told(SAID, is_stream), keeps_thoughts)
    document, losses = sent(call, "anthropic_messages", "claude-sonnet-4-5")
    assert document["thinking"]["type"] == "enabled"
    assert document["messages"][1]["content"] == [
        {"type": "thinking", "thinking": THOUGHT.text, "signature": SEALED},
        {"type": "redacted_thinking", "data": HIDDEN.signature},
        {"type": "text", "text": "I look"},
        {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"at": 1}},
        {"type": "tool_use", "id": "toolu_2", "name": "hear", "input": {"at": 2}},
    ]
    assert losses == ()


@pytest.mark.parametrize("is_stream", [False, True])
def test_each_call_has_what_was_thought_before_it(is_stream: bool) -> None:
    later = replace(THOUGHT, text="and then", signature="AAAA")
    call = answered(told([THOUGHT, LOOK, later, Text(text="I hear"), HEAR], is_stream), False)
    parts = GEMINI.translation.conversation(call).messages[1].parts
    assert parts == (THOUGHT, LOOK, later, Text(text="I hear"), HEAR)


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize("keeps_thoughts", [False, True])
def test_words_go_back_to_those_who_want_words(is_stream: bool, keeps_thoughts: bool) -> None:
    unsigned = Thinking(text="hmm")
    call = answered(told([unsigned, Text(text="I look"), LOOK], is_stream), keeps_thoughts)
    document, _ = sent(call, "openai_chat", "deepseek-v4-pro")
    refusals.thinking_chat(document)
    assert document["messages"][1]["reasoning_content"] == "hmm"


@pytest.mark.parametrize("is_stream", [False, True])
def test_what_openai_sealed_goes_back_to_it(is_stream: bool) -> None:
    call_of = ToolCall(id="call_1", name="look", arguments="{}")
    request = {"model": "m", "input": [
        {"type": "reasoning", "id": "rs_1", "encrypted_content": "sealed",
         "summary": [{"type": "summary_text", "text": "hmm"}]},
    ]}  # fmt: skip
    own = FORMATS["openai_responses"]
    read = own.translation.conversation(own.read_request(request, msgspec.json.encode(request)))
    (thought,) = read.messages[0].parts
    call = answered(told([thought, call_of], is_stream), False)
    document, _ = sent(call, "openai_responses", "gpt-5.1")
    items = [item for item in document["input"] if item.get("type") == "reasoning"]
    assert [(item["id"], item["encrypted_content"]) for item in items] == [("rs_1", "sealed")]


@pytest.mark.parametrize("name", ["thoughtSignature", "thought_signature"])
@pytest.mark.parametrize(
    ("model", "vendor", "signed"),
    [
        ("gemini-3-pro-preview", "gemini", UNSIGNED),
        ("gemini-2.5-pro", "gemini", None),
        ("gemini-3-pro-preview", "vertex", UNSIGNED),
    ],
)
def test_gemini_itself_is_sent_no_signature_of_ours(
    model: str, vendor: str, signed: str | None, name: str
) -> None:
    parts = [
        {name if key == "thoughtSignature" else key: value for key, value in part.items()}
        for part in told(SAID, is_stream=False)
    ]
    call = answered(parts, keeps_thoughts=True)
    asking = Asking(Suffix(model), vendor=vendor)
    outgoing = Translators(GEMINI, FORMATS).to("gemini").outgoing(call, asking)
    assert MARK.encode() not in outgoing.body
    said = json.loads(outgoing.body)["contents"][1]["parts"]
    first, second = [part for part in said if "functionCall" in part]
    assert first.get("thoughtSignature") == signed
    assert "thought_signature" not in first
    assert "thoughtSignature" not in second
    assert outgoing.losses == ()


def test_geminis_own_signatures_keep_their_bytes() -> None:
    signed = {"functionCall": {"name": "look", "args": {}}, "thoughtSignature": "c2VhbGVk"}
    results = {"functionResponse": {"name": "look", "response": {"output": "x"}}}
    call = asked({"role": "model", "parts": [signed]}, {"role": "user", "parts": [results]})
    asking = Asking(Suffix("gemini-3-pro-preview"), vendor="gemini")
    outgoing = Translators(GEMINI, FORMATS).to("gemini").outgoing(call, asking)
    assert outgoing.body == call.body
    own = Thinking(text="hmm", signature="c2VhbGVk", signed_by="gemini")
    parts = told([own, replace(LOOK, signature="c2VhbGVk")], is_stream=False)
    assert [part.get("thoughtSignature") for part in parts] == ["c2VhbGVk", "c2VhbGVk"]
    parts = told([THOUGHT, replace(LOOK, signature="c2VhbGVk")], is_stream=False)
    assert [part.get("thoughtSignature") for part in parts] == [None, "c2VhbGVk"]


def test_the_hold_covers_thoughts_that_are_read_again() -> None:
    long = replace(THOUGHT, text="word " * 500)
    plain = answered(told([LOOK], is_stream=False), keeps_thoughts=False)
    thinking = answered(told([long, LOOK], is_stream=False), keeps_thoughts=False)
    assert set(GEMINI.prompt(thinking).texts) - set(GEMINI.prompt(plain).texts) == {long.text}


def test_googles_sdk_takes_the_signature_and_gives_it_back() -> None:
    """It makes bytes of it, and writes them in the alphabet for addresses."""
    tricky = replace(THOUGHT, text="~~~???>>>ÿÿÿ")
    (part,) = [one for one in told([tricky, LOOK], is_stream=False) if "functionCall" in one]
    back = types.Part.model_validate(part).model_dump(mode="json", exclude_none=True, by_alias=True)
    signature = back["thoughtSignature"]
    assert set("-_") & set(signature)
    assert restored(signature) == (tricky,)


@pytest.mark.parametrize(
    "signature",
    [
        "", "c2VhbGVk", 5, None, MARK, MARK + "!!!", MARK + base64.b64encode(b"[1]").decode(),
        MARK + base64.b64encode(b'[["a","b","c"]]').decode(), carried([THOUGHT])[:-5],
    ],
)  # fmt: skip
def test_what_is_none_of_ours_is_left_alone(signature: object) -> None:
    assert restored(signature) == ()


def test_thoughts_without_a_call_are_not_carried() -> None:
    for is_stream in (False, True):
        parts = told([THOUGHT, Text(text="done")], is_stream)
        assert not any("thoughtSignature" in part for part in parts)
