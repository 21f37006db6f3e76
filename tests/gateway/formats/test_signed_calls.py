"""A signature on a call comes back to the vendor that made it, through clients that know none."""

import json
from typing import Any

import msgspec
import pytest

from gateway.conversation.parts import Text, ToolCall
from gateway.conversation.reasoning_suffixes import Suffix
from gateway.conversation.turn import Begun, Choice, PartBegun, PartEnded, Stopped, TextDelta, Turn
from gateway.formats.registry import FORMATS
from gateway.formats.translator import Asking, Translators
from gateway.formats.values import ChatCall
from ledger.usage import Usage

SIGNATURE = "c2lnbmVkIGJ5IEdlbWluaQ=="
CALL = ToolCall(id="call_7", name="f", arguments='{"a":1}', signature=SIGNATURE)
FORMAT = FORMATS["openai_responses"]


def request(items: list[dict[str, Any]]) -> ChatCall:
    document = {"model": "m", "input": items}
    return FORMAT.read_request(document, msgspec.json.encode(document))


def told(is_stream: bool) -> list[dict[str, Any]]:
    """The output that a Responses client gets."""
    asked = request([{"role": "user", "content": "x"}])
    if not is_stream:
        choice = Choice(parts=(CALL,), stop="tool_calls")
        turn = Turn(format="gemini", id="i", model="m", choices=(choice,))
        output: list[dict[str, Any]] = json.loads(FORMAT.translation.answer(asked, turn, Usage()))[
            "output"
        ]
        return output
    writer = FORMAT.translation.writer(asked)
    begun = msgspec.structs.replace(CALL, arguments="")
    written = writer.write(
        [
            Begun(id="i", model="m"),
            PartBegun(choice=0, number=0, part=begun),
            TextDelta(choice=0, number=0, text=CALL.arguments),
            PartEnded(choice=0, number=0),
            Stopped(choice=0, stop="tool_calls"),
        ]
    ) + writer.closing(Usage())
    last = json.loads(written.rstrip().rpartition(b"data: ")[2])
    return list(last["response"]["output"])


def sent_back(is_stream: bool) -> ChatCall:
    """The client's next request: what it was told, and the tool's result."""
    (item,) = told(is_stream)
    result = {"type": "function_call_output", "call_id": item["call_id"], "output": "2"}
    return request([{"role": "user", "content": "x"}, item, result])


@pytest.mark.parametrize("is_stream", [False, True])
def test_gemini_gets_its_signature_back(is_stream: bool) -> None:
    call = sent_back(is_stream)
    sent = Translators(FORMAT, FORMATS).to("gemini").outgoing(call, Asking(Suffix("gemini-3-pro")))
    _, said, answered = json.loads(sent.body)["contents"]
    assert said["parts"][0]["thoughtSignature"] == SIGNATURE
    assert said["parts"][0]["functionCall"]["id"] == "call_7"
    assert answered["parts"][0]["functionResponse"]["id"] == "call_7"


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize("provider", ["openai_responses", "openai_chat", "anthropic_messages"])
def test_any_other_vendor_gets_the_call_as_it_was(provider: str, is_stream: bool) -> None:
    sent = (
        Translators(FORMAT, FORMATS)
        .to(provider)
        .outgoing(sent_back(is_stream), Asking(Suffix("m")))
    )
    assert SIGNATURE.encode() not in sent.body
    assert b"tollgate-signed" not in sent.body
    assert sent.body.count(b'"call_7"') == 2


def test_a_request_without_signatures_keeps_its_bytes() -> None:
    call = request([{"type": "message", "role": "user", "content": "-tollgate-signed-"}])
    assert FORMAT.provider_body(call, "m") == call.body
    assert FORMAT.translation.conversation(call).messages[0].parts == (
        Text(text="-tollgate-signed-"),
    )
