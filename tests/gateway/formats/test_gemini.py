"""generateContent: read for what it costs, told as streams, and by way of no format there and
back."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from gateway.conversation.parts import Media, Text, Thinking, ToolCall, ToolResult
from gateway.conversation.request import Conversation, FunctionTool, Message, Reasoning, Sampling
from gateway.conversation.turn import PartBegun, SignatureDelta, Stopped, TextDelta
from gateway.errors import GatewayError, InsufficientQuota, InvalidRequest, UpstreamRefused
from gateway.formats.contract import UnreadableAnswer
from gateway.formats.gemini.format import Gemini
from gateway.formats.gemini.requests.schemas import as_json_schema
from gateway.formats.openai_chat.format import OpenAIChat
from gateway.formats.values import ChatCall, Piece
from gateway.http.sse import SSEParser
from gateway.routes.gemini_paths import ModelAction, model_action
from ledger.usage import Usage
from tests.recorded import Recording, recordings

GEMINI = Gemini()
TRANSLATION = GEMINI.translation
ALL = recordings("gemini-generate-gemini")
WHOLE = [each for each in ALL if not each.is_stream]
STREAMS = [each for each in ALL if each.is_stream]
FAILED = recordings("gemini-generate-error")
USED = Usage(input=5, cache_read=2, output=3, reasoning=4)


def count_words(texts: Sequence[str]) -> int:
    return sum(len(text.split()) for text in texts)


def call(**members: object) -> ChatCall:
    document = {"contents": [{"role": "user", "parts": [{"text": "x"}]}], **members}
    return GEMINI.read_request(document, json.dumps(document).encode())


def call_of(recording: Recording) -> ChatCall:
    document = recording.document
    document.pop("cachedContent", None)
    return GEMINI.read_request(document, json.dumps(document).encode())


def read_all(chunks: list[bytes]) -> tuple[Any, list[Piece]]:
    reader = GEMINI.stream(call(), count_words)
    pieces = [piece for chunk in chunks for piece in reader.feed(chunk)]
    return reader, [*pieces, *reader.finish()]


def told_usage(recording: Recording) -> Usage | None:
    told = recording.usage
    if "promptTokenCount" not in told:
        return None
    cached = told.get("cachedContentTokenCount", 0)
    return Usage(
        input=told["promptTokenCount"] - cached + told.get("toolUsePromptTokenCount", 0),
        cache_read=cached,
        output=told.get("candidatesTokenCount", 0),
        reasoning=told.get("thoughtsTokenCount", 0),
    )


@pytest.mark.parametrize("recording", WHOLE, ids=lambda each: each.name)
def test_a_recorded_answer_costs_what_it_tells(recording: Recording) -> None:
    answer = GEMINI.read_answer(recording.response)
    assert (answer.usage, answer.anomaly, answer.error) == (told_usage(recording), None, None)


@pytest.mark.parametrize("recording", STREAMS, ids=lambda each: each.name)
def test_a_recorded_stream_passes_whole_however_it_is_cut(recording: Recording) -> None:
    reader, pieces = read_all([recording.response])
    assert (reader.finished, reader.saw_content) == (True, True)
    assert reader.usage == told_usage(recording)
    assert b"".join(piece.raw for piece in pieces) == recording.response
    assert reader.closing(USED) == b""
    for size in (1, 3, 100):
        cut = [recording.response[at : at + size] for at in range(0, len(recording.response), size)]
        assert read_all(cut)[1] == pieces


@pytest.mark.parametrize(
    ("told", "usage"),
    [
        (
            {
                "promptTokenCount": 100,
                "cachedContentTokenCount": 30,
                "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 20}],
                "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 5}],
                "candidatesTokenCount": 10,
                "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 4}],
                "thoughtsTokenCount": 7,
                "toolUsePromptTokenCount": 3,
                "totalTokenCount": 120,
            },
            Usage(input=58, cache_read=30, audio_in=15, output=6, image_out=4, reasoning=7),
        ),
        (
            {"promptTokenCount": 5, "candidatesTokenCount": 1, "totalTokenCount": 9},
            Usage(input=5, output=1, reasoning=3),
        ),
        ({"promptTokenCount": 5, "totalTokenCount": 5}, Usage(input=5)),
        ({"trafficType": "ON_DEMAND"}, None),
        ({"promptTokenCount": -1}, None),
        ({"promptTokenCount": "5"}, None),
    ],
)
def test_classes_never_overlap(told: dict[str, Any], usage: Usage | None) -> None:
    body = json.dumps({"candidates": [], "usageMetadata": told}).encode()
    assert GEMINI.read_answer(body).usage == usage


def test_the_last_usage_of_a_stream_counts_as_a_whole() -> None:
    events = [
        {
            "candidates": [{"index": 0}],
            "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 8},
        },
        {"candidates": [{"finishReason": "STOP"}], "usageMetadata": {"promptTokenCount": 7}},
    ]
    reader, _ = read_all([b"data: " + json.dumps(each).encode() + b"\n\n" for each in events])
    assert reader.usage == Usage(input=7)


@pytest.mark.parametrize("recording", FAILED, ids=lambda each: each.name)
def test_a_recorded_failure_is_told_in_its_words(recording: Recording) -> None:
    failure = GEMINI.classify_failure(recording.status, {}, recording.response)
    assert isinstance(failure, UpstreamRefused)
    assert failure.status == recording.status
    status, _, body = GEMINI.error_body(failure, "r")
    told = json.loads(body)["error"]
    assert (told["code"], told["status"]) == (
        status,
        {400: "INVALID_ARGUMENT", 404: "NOT_FOUND"}[status],
    )


def test_our_refusals_have_googles_words() -> None:
    status, _, body = GEMINI.error_body(InsufficientQuota("short"), "r")
    told = json.loads(body)["error"]
    assert (status, told["status"]) == (429, "RESOURCE_EXHAUSTED")
    assert told["details"][0]["reason"] == "insufficient_quota"
    event = json.loads(GEMINI.stream_error(GatewayError("x"))[6:])
    assert event["error"]["status"] == "INTERNAL"


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"<html>", b'{"candidates": 3}'])
def test_what_is_no_answer_is_not_read_as_one(body: bytes) -> None:
    with pytest.raises(UnreadableAnswer):
        GEMINI.read_answer(body)


@pytest.mark.parametrize(
    "members",
    [
        {"contents": None},
        {"contents": []},
        {"contents": [3]},
        {"contents": [{"parts": 3}]},
        {"contents": [{"parts": [{"text": 3}]}]},
        {"systemInstruction": 3},
        {"cachedContent": "cachedContents/1"},
        {"generationConfig": {"maxOutputTokens": 0}},
        {"generationConfig": {"candidateCount": 99}},
        {"generationConfig": {"temperature": "hot"}},
        {"generationConfig": {"stopSequences": [3]}},
        {"tools": [3]},
    ],
)
def test_a_malformed_request_is_refused_by_its_parameter(members: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        call(**members)
    assert (refusal.value.param or "").startswith(next(iter(members)))


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/v1beta/models/m:generateContent", ModelAction("m", "generateContent")),
        ("/v1/models/a/b:c:countTokens", ModelAction("a/b:c", "countTokens")),
        ("/v1beta/models/m", None),
        ("/v1beta/models/m:fly", None),
        ("/v1beta/models/:generateContent", None),
        ("/v2/models/m:generateContent", None),
    ],
)
def test_paths_name_a_model_and_what_is_asked_of_it(path: str, asked: ModelAction | None) -> None:
    assert model_action(path) == asked


@pytest.mark.parametrize("recording", ALL, ids=lambda each: each.name)
def test_a_recorded_request_comes_back_meaning_the_same(recording: Recording) -> None:
    before = TRANSLATION.conversation(call_of(recording))
    written = TRANSLATION.request(before, "gemini-2.5-pro")
    assert written.losses == ()
    after = TRANSLATION.conversation(
        GEMINI.read_request(written.document, json.dumps(written.document).encode())
    )
    assert after.messages == before.messages
    assert sorted(after.tools, key=repr) == sorted(before.tools, key=repr)
    assert after.tool_choice == before.tool_choice
    assert (after.sampling, after.output) == (before.sampling, before.output)
    assert after.foreign == before.foreign


@pytest.mark.parametrize("recording", WHOLE, ids=lambda each: each.name)
def test_a_recorded_answer_keeps_what_it_says(recording: Recording) -> None:
    turn = TRANSLATION.turn(json.loads(recording.response))
    written = json.loads(TRANSLATION.answer(call(), turn, USED))
    again = TRANSLATION.turn(written)
    for before, after in zip(turn.choices, again.choices, strict=True):
        assert [_said(part) for part in after.parts] == [_said(part) for part in before.parts]
        assert after.stop == before.stop
    assert GEMINI.read_answer(json.dumps(written).encode()).usage == USED


def _said(part: Any) -> object:  # noqa: ANN401 - any part
    return (
        (part.text, part.signature) if isinstance(part, Thinking) else getattr(part, "text", part)
    )


@pytest.mark.parametrize("recording", STREAMS, ids=lambda each: each.name)
def test_a_recorded_stream_comes_out_as_the_same_turn(recording: Recording) -> None:
    reader, writer = TRANSLATION.reader(), TRANSLATION.writer(call())
    told = b"".join(writer.write(reader.read(data)) for data in events_of(recording.response))
    told += writer.write(reader.finish()) + writer.closing(USED)
    assert texts_of(told) == texts_of(recording.response)
    again, _ = read_all([told])
    assert (again.finished, again.usage) == (True, USED)


def texts_of(stream: bytes) -> dict[bool, str]:
    said = {False: "", True: ""}
    for data in events_of(stream):
        for candidate in json.loads(data).get("candidates", ()):
            for part in candidate.get("content", {}).get("parts", ()):
                said[part.get("thought", False)] += part.get("text", "")
    return said


def events_of(stream: bytes) -> list[bytes]:
    return [event.data for event in SSEParser().feed(stream) if event.data]


def test_both_spellings_and_every_kind_of_part_are_read() -> None:
    contents = [
        {
            "role": "user",
            "parts": [
                {"text": "look"},
                {"inline_data": {"mime_type": "image/png", "data": "AA"}},
                {"fileData": {"fileUri": "https://x.invalid/a.mp4", "mimeType": "video/mp4"}},
            ],
        },
        {
            "role": "model",
            "parts": [
                {"text": "hm", "thought": True},
                {"functionCall": {"name": "f", "args": {"a": 1}}, "thought_signature": "s"},
                {"function_call": {"name": "f", "args": {}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"name": "f", "response": {"output": "one"}}},
                {"function_response": {"name": "f", "response": {"error": "two"}}},
            ],
        },
    ]
    user, model, results = TRANSLATION.conversation(call(contents=contents)).messages
    image, video = user.parts[1:]
    assert isinstance(image, Media)
    assert isinstance(video, Media)
    assert (image.kind, video.kind) == ("image", "video")
    thought, first, second = model.parts
    assert thought == Thinking(text="hm")
    assert isinstance(first, ToolCall)
    assert isinstance(second, ToolCall)
    assert (first.arguments, first.signature) == ('{"a":1}', "s")
    one, two = results.parts
    assert isinstance(one, ToolResult)
    assert isinstance(two, ToolResult)
    assert (one.call_id, two.call_id) == (first.id, second.id)
    assert (one.content, one.is_error, two.is_error) == ((Text(text="one"),), False, True)


def test_a_schema_of_geminis_becomes_a_json_schema() -> None:
    schema = {
        "type": "OBJECT",
        "properties": {"type": {"type": "STRING", "nullable": True}, "n": {"type": "INTEGER"}},
        "required": ["n"],
        "propertyOrdering": ["n"],
    }
    assert as_json_schema(schema) == {
        "type": "object",
        "properties": {"type": {"type": ["string", "null"]}, "n": {"type": "integer"}},
        "required": ["n"],
    }


def test_a_chat_with_tools_goes_through_and_back() -> None:
    """Chat -> Gemini -> Chat: text beside calls, results, what is forced, and the schema."""
    chat = OpenAIChat()
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "what?"},
        {
            "role": "assistant",
            "content": "I look",
            "tool_calls": [
                {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}},
                {"id": "2", "type": "function", "function": {"name": "g", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "tool_call_id": "1", "content": "one", "name": "f"},
        {"role": "tool", "tool_call_id": "2", "content": "two", "name": "g"},
    ]
    function = {"name": "f", "parameters": {"type": "object", "properties": {}}}
    document = {
        "model": "m",
        "messages": messages,
        "tools": [{"type": "function", "function": function}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "max_tokens": 9,
        "temperature": 0.5,
        "stop": ["x"],
        "seed": 3,
    }
    asked = chat.translation.conversation(chat.read_request(document, b""))
    written = TRANSLATION.request(asked, "gemini-2.5-pro")
    again = TRANSLATION.conversation(GEMINI.read_request(written.document, b""))
    back = chat.translation.request(again, "m").document
    plain = [
        {name: value for name, value in message.items() if name != "name"} for message in messages
    ]
    assert back["messages"] == plain
    for name in ("tools", "tool_choice", "max_tokens", "temperature", "stop", "seed"):
        assert back[name] == document[name]


@pytest.mark.parametrize(
    ("reasoning", "model", "told"),
    [
        (
            Reasoning(effort="high"),
            "gemini-2.5-pro",
            {"thinkingBudget": 24576, "includeThoughts": True},
        ),
        (
            Reasoning(effort="low"),
            "gemini-3-pro",
            {"thinkingLevel": "low", "includeThoughts": True},
        ),
        (Reasoning(is_on=False), "gemini-2.5-flash", {"thinkingBudget": 0}),
        (
            Reasoning(is_on=True, budget_tokens=9),
            "x",
            {"thinkingBudget": 9, "includeThoughts": True},
        ),
        (
            Reasoning(is_on=True, is_adaptive=True, tells_thoughts=False),
            "x",
            {"thinkingBudget": -1, "includeThoughts": False},
        ),
    ],
)
def test_how_much_to_think_is_told_as_the_model_knows_it(
    reasoning: Reasoning, model: str, told: dict[str, object]
) -> None:
    conversation = Conversation(
        format="openai_chat",
        messages=(Message(role="user", parts=(Text(text="x"),)),),
        reasoning=reasoning,
    )
    document = TRANSLATION.request(conversation, model).document
    assert document["generationConfig"]["thinkingConfig"] == told


@pytest.mark.parametrize(
    ("model", "signature", "told"),
    [
        ("gemini-3-pro-preview", "", ["skip_thought_signature_validator", None]),
        ("google/gemini-3.5-flash", "s", ["s", None]),
        ("gemini-2.5-pro", "", [None, None]),
    ],
)
def test_the_first_call_of_a_step_bears_a_signature(
    model: str, signature: str, told: list[str | None]
) -> None:
    calls = (
        ToolCall(id="1", name="f", arguments="{}", signature=signature),
        ToolCall(id="2", name="f", arguments="{}"),
    )
    conversation = Conversation(
        format="openai_chat", messages=(Message(role="assistant", parts=calls),)
    )
    (content,) = TRANSLATION.request(conversation, model).document["contents"]
    assert [part.get("thoughtSignature") for part in content["parts"]] == told


def test_losses_are_named() -> None:
    conversation = Conversation(
        format="anthropic_messages",
        messages=(
            Message(role="user", parts=(Text(text="x"),)),
            Message(
                role="assistant",
                parts=(Thinking(text="t", signature="s", signed_by="anthropic_messages"),),
            ),
        ),
        sampling=Sampling(stop=tuple("abcdef"), logit_bias={"1": 1}),
        parallel_tool_calls=False,
        tools=(FunctionTool(name="f"),),
        foreign={"container": "c"},
    )
    assert TRANSLATION.request(conversation, "m").losses == (
        "thinking",
        "logit_bias",
        "parallel_tool_calls",
        "container",
    )


def test_a_call_streams_whole_and_a_signature_beside_words_is_kept() -> None:
    reader = TRANSLATION.reader()
    chunk = {
        "responseId": "r",
        "candidates": [
            {
                "content": {
                    "parts": [
                        {"text": "hm", "thought": True, "thoughtSignature": "s"},
                        {"functionCall": {"name": "f", "args": {"a": 1}}},
                    ]
                },
                "finishReason": "STOP",
            }
        ],
    }
    events = reader.read(json.dumps(chunk).encode()) + reader.finish()
    assert [event.signature for event in events if isinstance(event, SignatureDelta)] == ["s"]
    begun = [event.part for event in events if isinstance(event, PartBegun)]
    assert isinstance(begun[1], ToolCall)
    assert begun[1].id == ""  # it gets one between the formats
    assert [event.text for event in events if isinstance(event, TextDelta)] == ["hm", '{"a":1}']
    assert events[-1] == Stopped(choice=0, stop="tool_calls")
