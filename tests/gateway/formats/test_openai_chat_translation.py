"""Chat completions by way of the conversation in no format: there and back, in one or in
pieces."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.conversation.parts import (
    Address,
    CacheMark,
    Foreign,
    Inline,
    Media,
    PlainDocument,
    Stored,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from gateway.conversation.request import Conversation, Message, Reasoning
from gateway.conversation.turn import Choice, PartBegun, Stopped, TextDelta, Turn, TurnEvent
from gateway.errors import InvalidRequest
from gateway.formats.openai_chat.format import OpenAIChat
from gateway.formats.values import ChatCall
from gateway.http.sse import SSEParser
from ledger.usage import Usage
from tests.recorded import Recording, recordings

CHAT = OpenAIChat()
TRANSLATION = CHAT.translation
USED = Usage(input=5, cache_read=2, output=3, reasoning=4)
WHOLE = [each for each in recordings("openai-chat-chat") if not each.is_stream]
STREAMS = [each for each in recordings("openai-chat-chat") if each.is_stream]
IMAGE = "data:image/png;base64,iVBORw0KGgo="


def call(**members: object) -> ChatCall:
    document = {"model": "m", "messages": [{"role": "user", "content": "x"}], **members}
    return CHAT.read_request(document, json.dumps(document).encode())


def again(**members: object) -> tuple[dict[str, Any], tuple[str, ...]]:
    """A request read and written again, and its losses."""
    written = TRANSLATION.request(TRANSLATION.conversation(call(**members)), "m")
    return written.document, written.losses


def conversed(*messages: Message, **members: Any) -> Conversation:  # noqa: ANN401 - any
    return Conversation(format="anthropic_messages", messages=messages, **members)


@pytest.mark.parametrize(
    ("model", "losses"),
    [("google/gemini-3-pro", ()), ("gpt-5.1", ("tool_calls.signature",))],
)
def test_a_calls_signature_is_told_to_models_that_know_it_alone(
    model: str, losses: tuple[str, ...]
) -> None:
    signed = ToolCall(id="1", name="f", arguments="{}", signature="s")
    conversation = conversed(Message(role="assistant", parts=(signed,)))
    written = TRANSLATION.request(conversation, model)
    (told,) = written.document["messages"][0]["tool_calls"]
    extra = {"extra_content": {"google": {"thought_signature": "s"}}}
    function = {"name": "f", "arguments": "{}"}
    plain = {"id": "1", "type": "function", "function": function}
    assert told == plain | ({} if losses else extra)
    assert written.losses == losses


@pytest.mark.parametrize("recording", WHOLE + STREAMS, ids=lambda each: each.name)
def test_a_recorded_request_comes_back_as_it_was(recording: Recording) -> None:
    document = recording.document
    given_call = CHAT.read_request(document, recording.request.encode())
    written = TRANSLATION.request(TRANSLATION.conversation(given_call), document["model"])
    assert written.losses == ()
    told = dict(written.document)
    if document.get("stream") is False:
        told["stream"] = False
    if "stream_options" not in document:
        told.pop("stream_options", None)
    if document.get("n") == 1:
        told["n"] = 1
    for one in (told, document):
        if "max_completion_tokens" in one:
            one["max_tokens"] = one.pop("max_completion_tokens")
    assert _plain(told) == _plain(document)


def _plain(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Without what means the same written or left out."""
    if isinstance(value, dict):
        plain = {name: _plain(each) for name, each in value.items()}
        plain = {name: each for name, each in plain.items() if each not in (None, "", [], {})}
        if plain.get("ttl") == "5m":
            del plain["ttl"]
        content = plain.get("content")
        if isinstance(content, list) and [set(part) for part in content] == [{"type", "text"}]:
            plain["content"] = content[0]["text"]
        return plain
    return [_plain(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize("recording", WHOLE, ids=lambda each: each.name)
def test_a_recorded_answer_keeps_what_it_says(recording: Recording) -> None:
    told = json.loads(recording.response)
    turn = TRANSLATION.turn(told)
    written = json.loads(TRANSLATION.answer(call(), turn, USED))
    for before, after in zip(told["choices"], written["choices"], strict=True):
        assert after["finish_reason"] == before["finish_reason"]
        assert after["logprobs"] == before.get("logprobs")
        said = before["message"]
        for name in ("content", "tool_calls", "refusal", "reasoning_content"):
            assert _calls(after["message"].get(name)) == _calls(said.get(name))
    assert written["usage"]["completion_tokens"] == 7


def _calls(value: object) -> object:
    """Providers number the calls of a whole answer, or do not."""
    if not isinstance(value, list):
        return value or None
    return [{name: one[name] for name in one if name != "index"} for one in value]


@pytest.mark.parametrize("recording", STREAMS, ids=lambda each: each.name)
def test_a_recorded_stream_comes_out_as_the_same_turn(recording: Recording) -> None:
    told = _events_of(recording.response)
    reader, writer = TRANSLATION.reader(), TRANSLATION.writer(call(stream=True))
    rewritten = b"".join(writer.write(reader.read(data)) for data in told)
    rewritten += writer.write(reader.finish()) + writer.closing(USED)
    assert _accumulated(_events_of(rewritten)) == _accumulated(told)
    assert rewritten.endswith(b"data: [DONE]\n\n")


def _events_of(stream: bytes) -> list[bytes]:
    parser = SSEParser()
    events = parser.feed(stream)
    last = parser.finish()
    found = [event.data for event in [*events, *([last] if last else [])]]
    return [data for data in found if data and data != b"[DONE]"]


def _accumulated(events: list[bytes]) -> dict[str, Any]:
    """What a client makes of a stream."""
    made: dict[str, Any] = {"content": "", "reasoning": "", "calls": {}, "finish": None}
    for data in events:
        for choice in json.loads(data).get("choices") or ():
            delta = choice["delta"]
            made["content"] += delta.get("content") or ""
            made["reasoning"] += delta.get("reasoning_content") or delta.get("reasoning") or ""
            for one in delta.get("tool_calls") or ():
                known = made["calls"].setdefault(one["index"], {"id": "", "name": "", "text": ""})
                known["id"] += one.get("id") or ""
                known["name"] += one["function"].get("name") or ""
                known["text"] += one["function"].get("arguments") or ""
            made["finish"] = choice.get("finish_reason") or made["finish"]
    return made


def test_every_option_comes_back() -> None:
    options = {
        "max_tokens": 9,
        "n": 2,
        "temperature": 0.5,
        "top_p": 0.9,
        "seed": 4,
        "stop": ["a", "b"],
        "frequency_penalty": 0.1,
        "presence_penalty": 0.2,
        "logit_bias": {"5": 1},
        "logprobs": True,
        "top_logprobs": 3,
        "tools": [
            {"type": "function", "function": {"name": "f", "parameters": {}, "strict": True}},
            {"type": "custom", "custom": {"name": "g", "format": {"type": "text"}}},
        ],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "parallel_tool_calls": False,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "s", "schema": {"type": "object"}, "strict": True},
        },
        "verbosity": "low",
        "modalities": ["text"],
        "service_tier": "flex",
        "user": "u",
        "metadata": {"k": "v"},
        "store": False,
        "prompt_cache_key": "p",
        "web_search_options": {
            "search_context_size": "low",
            "user_location": {"type": "approximate", "approximate": {"country": "LV"}},
        },
        "prediction": {"type": "content", "content": "x"},
    }
    document, losses = again(**options)
    assert losses == ()
    assert {name: document[name] for name in options} == options


@pytest.mark.parametrize(
    "choice",
    [
        "auto",
        "none",
        "required",
        {"type": "function", "function": {"name": "f"}},
        {
            "type": "allowed_tools",
            "allowed_tools": {
                "mode": "auto",
                "tools": [{"type": "function", "function": {"name": "f"}}],
            },
        },
    ],
)
def test_every_choice_of_tools_comes_back(choice: object) -> None:
    tools = [{"type": "function", "function": {"name": "f"}}]
    assert again(tools=tools, tool_choice=choice)[0]["tool_choice"] == choice


@pytest.mark.parametrize(
    ("model", "name"), [("gpt-5.1", "max_completion_tokens"), ("m", "max_tokens")]
)
def test_a_limit_has_the_name_the_model_knows(model: str, name: str) -> None:
    conversation = conversed(Message(role="user", parts=(Text(text="x"),)), max_output_tokens=7)
    assert TRANSLATION.request(conversation, model).document[name] == 7


def test_text_between_calls_and_every_kind_of_part_survives() -> None:
    messages = [
        {"role": "system", "content": "be brief"},
        {
            "role": "user",
            "name": "ada",
            "content": [
                {"type": "text", "text": "look"},
                {"type": "image_url", "image_url": {"url": IMAGE, "detail": "low"}},
                {"type": "image_url", "image_url": {"url": "https://x.invalid/a.png"}},
                {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
                {
                    "type": "file",
                    "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"},
                },
            ],
        },
        {
            "role": "assistant",
            "content": "I call two",
            "tool_calls": [
                {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                {"id": "2", "type": "custom", "custom": {"name": "g", "input": "plain"}},
            ],
        },
        {"role": "tool", "tool_call_id": "1", "content": "one"},
        {"role": "tool", "tool_call_id": "2", "content": "two"},
        {"role": "assistant", "content": "done"},
    ]
    assert again(messages=messages)[0]["messages"] == messages


def test_a_tool_that_shows_an_image_has_it_shown_right_after() -> None:
    image = Media(kind="image", source=Inline(media_type="image/png", data="AA"))
    called = Message(role="assistant", parts=(ToolCall(id="1", name="f", arguments="{}"),))
    results = Message(
        role="user",
        parts=(
            ToolResult(call_id="1", content=(Text(text="there"), image), is_error=True),
            Text(text="and?"),
        ),
    )
    written = TRANSLATION.request(conversed(called, results), "m")
    tool, user = written.document["messages"][1:]
    assert (tool["role"], tool["tool_call_id"], tool["content"]) == ("tool", "1", "there")
    assert [part["type"] for part in user["content"]] == ["text", "image_url", "text"]
    assert user["content"][1]["image_url"]["url"] == "data:image/png;base64,AA"
    assert written.losses == ("tool_result.is_error",)


def test_losses_are_named_once_each() -> None:
    parts = (
        Text(text="a", cache=CacheMark()),
        Text(text="b", cache=CacheMark()),
        PlainDocument(text="c", title="t"),
        Foreign(format="anthropic_messages", kind="search_result", value={}),
    )
    assistant = Message(
        role="assistant",
        parts=(Thinking(text="hm", signature="s", signed_by="anthropic_messages"),),
    )
    conversation = conversed(
        Message(role="user", parts=parts),
        assistant,
        reasoning=Reasoning(is_on=True, budget_tokens=9_000),
        foreign={"mcp_servers": []},
    )
    written = TRANSLATION.request(conversation, "gpt-4o")
    assert written.losses == (
        "cache_control",
        "search_result",
        "thinking",
        "reasoning",
        "mcp_servers",
    )
    assert TRANSLATION.request(conversation, "gpt-5").document["reasoning_effort"] == "medium"


@pytest.mark.parametrize(
    "media",
    [
        Media(kind="audio", source=Inline(media_type="audio/amr", data="AA")),
        Media(kind="document", source=Address(url="https://x.invalid/a.pdf")),
        Media(kind="image", source=Stored(file_id="file_1")),
    ],
)
def test_what_would_change_the_meaning_is_refused(media: Media) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        TRANSLATION.request(conversed(Message(role="user", parts=(media,))), "m")
    assert refusal.value.code == "not_expressible"


def test_signatures_travel_in_the_details() -> None:
    thought = Thinking(text="hm", signature="sig", signed_by="anthropic_messages")
    hidden = Thinking(text="", signature="d", signed_by="anthropic_messages", is_redacted=True)
    told = TRANSLATION.turn(
        {"choices": [{"message": {"content": "x"}, "finish_reason": "stop"}], "id": "i"}
    )
    (choice,) = told.choices
    turn = msgspec.structs.replace(
        told, choices=(msgspec.structs.replace(choice, parts=(thought, hidden, *choice.parts)),)
    )
    message = json.loads(TRANSLATION.answer(call(), turn, USED))["choices"][0]["message"]
    assert message["reasoning_content"] == "hm"
    sent_back = [{"role": "user", "content": "x"}, message]
    conversation = TRANSLATION.conversation(call(messages=sent_back))
    assert conversation.messages[1].parts[:2] == (thought, hidden)


def test_calls_side_by_side_keep_their_own_arguments() -> None:
    reader = TRANSLATION.reader()
    chunks = [
        {"index": 0, "id": "a", "function": {"name": "f", "arguments": "{"}},
        {"index": 1, "id": "b", "function": {"name": "g", "arguments": "["}},
        {"index": 0, "function": {"arguments": "}"}},
        {"index": 1, "function": {"arguments": "]"}},
    ]
    events: list[TurnEvent] = []
    for chunk in chunks:
        data = {"choices": [{"index": 0, "delta": {"tool_calls": [chunk]}}]}
        events += reader.read(json.dumps(data).encode())
    events += reader.finish()
    said: dict[int, str] = {}
    for event in events:
        if isinstance(event, TextDelta):
            said[event.number] = said.get(event.number, "") + event.text
    names = [event.part.name for event in events if isinstance(event, PartBegun)]  # type: ignore[union-attr]
    assert names == ["f", "g"]
    assert said == {0: "{}", 1: "[]"}
    assert events[-1] == Stopped(choice=0, stop="tool_calls")


TEXTS = st.text(min_size=1, max_size=20)
ASSISTANT_PARTS = st.lists(
    st.one_of(
        st.builds(lambda text: Thinking(text=text), TEXTS),
        st.builds(lambda text: Text(text=text), TEXTS),
        st.builds(
            lambda name, text: ToolCall(id=f"c{name}", name=name, arguments=text),
            st.sampled_from("fgh"),
            TEXTS,
        ),
    ),
    min_size=1,
    max_size=6,
)


@given(ASSISTANT_PARTS)
def test_a_stream_says_what_the_whole_answer_says(parts: list[Any]) -> None:
    """The same turn, written whole and written as events, is the same to a client."""
    writer = TRANSLATION.writer(call(stream=True))
    events: list[TurnEvent] = []
    for number, part in enumerate(parts):
        word = "arguments" if isinstance(part, ToolCall) else "text"
        text = getattr(part, word)
        begun = msgspec.structs.replace(part, **{word: ""})
        events.append(PartBegun(choice=0, number=number, part=begun))
        middle = len(text) // 2
        events += [
            TextDelta(choice=0, number=number, text=piece)
            for piece in (text[:middle], text[middle:])
            if piece
        ]
    events.append(Stopped(choice=0, stop="stop"))
    streamed = _accumulated(_events_of(writer.write(events) + writer.closing(USED)))
    choice = Choice(parts=tuple(parts), stop="stop")
    whole = Turn(format="gemini", id="i", model="m", choices=(choice,))
    message = json.loads(TRANSLATION.answer(call(), whole, USED))["choices"][0]["message"]
    assert streamed["content"] == (message["content"] or "")
    assert streamed["reasoning"] == message.get("reasoning_content", "")
    assert [one["text"] for one in streamed["calls"].values()] == [
        one["function"]["arguments"] for one in message.get("tool_calls", [])
    ]
