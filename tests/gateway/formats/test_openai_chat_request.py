"""Chat requests: what is refused and where, what is read, and which bytes go to the provider."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.errors import InvalidRequest
from gateway.formats.openai_chat.requests.prompt import (
    IMAGE_LOW_TOKENS,
    IMAGE_TOKENS,
    MINI_IMAGE_TOKENS,
)
from gateway.formats.registry import FORMATS
from gateway.formats.values import ChatCall
from gateway.http.strict_json import parse
from tests.recorded import Recording, recordings

CHAT = FORMATS["openai_chat"]
HELLO = [{"role": "user", "content": "hello"}]
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}


def read(**members: object) -> ChatCall:
    body = json.dumps({"model": "gpt-4o", "messages": HELLO} | members).encode()
    return CHAT.read_request(parse(body), body)


def refused(**members: object) -> str | None:
    with pytest.raises(InvalidRequest) as caught:
        read(**members)
    assert caught.value.status == 400
    assert caught.value.should_retry is False
    return caught.value.param


def refused_message(**message: object) -> str | None:
    return refused(messages=[*HELLO, message])


@pytest.mark.parametrize(
    "value", [True, "5", 5.0, 5.5, {}, [], -1, 0, 10_000_001, 10**9, 2**63 - 1, "many"]
)
@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_an_output_limit_that_is_no_sane_integer_is_refused(name: str, value: object) -> None:
    assert refused(**{name: value}) == name


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens", "n"])
def test_c19_what_is_beyond_is_told_as_openai_does(name: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(**{name: 0})
    told = (
        f"Invalid '{name}': integer below minimum value. Expected a value >= 1, but got 0 instead."
    )
    error = caught.value
    assert (error.message, error.param, error.code) == (told, name, "integer_below_min_value")
    with pytest.raises(InvalidRequest) as caught:
        read(**{name: 10**8})
    assert caught.value.code == "integer_above_max_value"


def test_null_is_absence() -> None:
    names = ["max_tokens", "max_completion_tokens", "n", "stop", "stream", "stream_options"]
    names += ["temperature", "top_p", "tools", "user", "metadata", "logit_bias", "tool_choice"]
    names += ["response_format", "seed", "logprobs", "functions", "function_call"]
    call = read(**dict.fromkeys(names))
    assert call.max_output_tokens is None
    assert (call.stream, call.choices, call.wants_usage) == (False, 1, False)


def test_the_newer_output_limit_wins_and_a_contradiction_is_refused() -> None:
    assert read(max_tokens=7).max_output_tokens == 7
    assert read(max_completion_tokens=9).max_output_tokens == 9
    assert read(max_completion_tokens=9, max_tokens=9).max_output_tokens == 9
    assert refused(max_completion_tokens=9, max_tokens=8) == "max_tokens"


@pytest.mark.parametrize("value", [0, -1, 9, 10**6, 2**63 - 1, True, "3", 1.5])
def test_choices_are_bounded(value: object) -> None:
    assert refused(n=value) == "n"


def test_choices_up_to_eight_are_read() -> None:
    assert read(n=8).choices == 8


@pytest.mark.parametrize("value", [-5, 1e9, "hot", True, [], -0.1, 2.1])
def test_a_temperature_out_of_range_is_refused(value: object) -> None:
    assert refused(temperature=value) == "temperature"


@pytest.mark.parametrize("value", [-0.1, 1.5, "x", False])
def test_a_nucleus_out_of_range_is_refused(value: object) -> None:
    assert refused(top_p=value) == "top_p"


@pytest.mark.parametrize(
    ("value", "param"),
    [
        (["a"] * 17, "stop"),
        (["a"] * 1_000, "stop"),
        ("", "stop"),
        ("x" * 4_097, "stop"),
        ("x" * 1_000_000, "stop"),
        (["a", ""], "stop[1]"),
        (["a", 5], "stop[1]"),
        (["a", None], "stop[1]"),
        (7, "stop"),
        ({}, "stop"),
    ],
)
def test_stops_are_bounded(value: object, param: str) -> None:
    assert refused(stop=value) == param


@pytest.mark.parametrize("value", ["true", 1, 0, "false", []])
def test_stream_is_a_boolean(value: object) -> None:
    assert refused(stream=value) == "stream"


def test_stream_options_need_a_stream() -> None:
    assert refused(stream_options={"include_usage": True}) == "stream_options"
    assert refused(stream=False, stream_options={}) == "stream_options"
    with pytest.raises(InvalidRequest, match="parameter is only allowed when 'stream' is enabled"):
        read(stream_options={"include_usage": True})  # C19
    assert refused(stream=True, stream_options={"include_usage": 1}) == (
        "stream_options.include_usage"
    )
    assert refused(stream=True, stream_options="yes") == "stream_options"
    assert read(stream=True, stream_options={"include_usage": True}).wants_usage
    assert not read(stream=True, stream_options={}).wants_usage


@pytest.mark.parametrize(
    "value", ["", "m" * 10_240, "m\r\nX: 1", "m\x00", "m\x7f", "é" * 129, None, 5, ["m"], True]
)
def test_a_model_is_a_short_plain_string(value: object) -> None:
    assert refused(model=value) == "model"


def test_any_other_model_name_is_read_as_it_is() -> None:
    for name in ["GPT-4 ", "vendor/model:free", "../../admin", "m?x", "m#", "a%2fb"]:
        assert read(model=name).model == name


@pytest.mark.parametrize("value", [None, [], {}, "hello", [None], ["hello"], HELLO * 2_049])
def test_messages_are_a_bounded_list_of_objects(value: object) -> None:
    assert (refused(messages=value) or "").startswith("messages")


def test_a_message_is_refused_by_its_place() -> None:
    assert refused_message(role="root", content="x") == "messages[1].role"
    assert refused_message(content="x") == "messages[1].role"
    assert refused_message(role=["user"], content="x") == "messages[1].role"
    assert refused_message(role="user") == "messages[1].content"
    assert refused_message(role="user", content=None) == "messages[1].content"
    assert refused_message(role="user", content=5) == "messages[1].content"
    assert refused_message(role="user", content={"type": "text"}) == "messages[1].content"
    assert refused_message(role="assistant", content=None) == "messages[1].content"
    assert refused_message(role="assistant", tool_calls=[]) == "messages[1].content"
    assert refused_message(role="user", tool_calls=[{}]) == "messages[1].content"
    assert refused_message(role="user", content="x", name="a\x00") == "messages[1].name"
    assert refused_message(role="tool", content="x", tool_call_id=5) == "messages[1].tool_call_id"
    long = "x" * 1_000_000
    assert refused_message(role="tool", content="x", tool_call_id=long) == (
        "messages[1].tool_call_id"
    )


@pytest.mark.parametrize(
    ("part", "place"),
    [
        ("text", ""),
        ({}, ".type"),
        ({"type": 5}, ".type"),
        ({"type": "text"}, ".text"),
        ({"type": "text", "text": 5}, ".text"),
        ({"type": "image_url"}, ".image_url"),
        ({"type": "image_url", "image_url": {"url": 5}}, ".image_url.url"),
        ({"type": "input_audio", "input_audio": "x"}, ".input_audio"),
        ({"type": "input_audio", "input_audio": {}}, ".input_audio.data"),
        ({"type": "file", "file": {"file_data": 5}}, ".file.file_data"),
    ],
)
def test_a_part_is_refused_by_its_place(part: object, place: str) -> None:
    content = [{"type": "text", "text": "a"}, part]
    assert refused_message(role="user", content=content) == f"messages[1].content[1]{place}"


def test_parts_and_media_are_bounded() -> None:
    many = [{"type": "text", "text": "a"}] * 2_049
    assert refused_message(role="user", content=many) == "messages[1].content"
    images = [{"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}] * 300
    message = {"role": "user", "content": images}
    assert refused(messages=[message, message]) == "messages"


def test_an_assistant_may_say_nothing_when_it_calls() -> None:
    called = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    answered = {"role": "tool", "tool_call_id": "call_1", "content": "x"}
    for message in (
        {"role": "assistant", "content": None, "tool_calls": [called]},
        {"role": "assistant", "tool_calls": [called]},
        {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "assistant", "content": None, "refusal": "no"},
    ):
        read(messages=[*HELLO, message, answered])


@pytest.mark.parametrize(
    ("call", "place"),
    [
        ("x", ""),
        ({"function": 5}, ".function"),
        ({"function": {}}, ".function.name"),
        ({"function": {"name": "f", "arguments": {}}}, ".function.arguments"),
        ({"function": {"name": "f\x00", "arguments": "{}"}}, ".function.name"),
    ],
)
def test_a_tool_call_is_refused_by_its_place(call: object, place: str) -> None:
    found = refused_message(role="assistant", content="x", tool_calls=[call])
    assert found == f"messages[1].tool_calls[0]{place}"


@pytest.mark.parametrize(
    ("value", "param"),
    [
        ([TOOL] * 513, "tools"),
        ([TOOL] * 10_000, "tools"),
        (["x"], "tools[0]"),
        ([{"function": {"name": "f"}}], "tools[0].type"),
        ([{"type": "function", "function": 5}], "tools[0].function"),
        ([{"type": "function", "function": {}}], "tools[0].function.name"),
        ([{"type": "function", "function": {"name": ""}}], "tools[0].function.name"),
        ([{"type": "function", "function": {"name": "x" * 300}}], "tools[0].function.name"),
        (
            [{"type": "function", "function": {"name": "f", "description": "d" * 1_000_000}}],
            "tools",
        ),
        ({}, "tools"),
    ],
)
def test_tools_are_bounded(value: object, param: str) -> None:
    assert refused(tools=value) == param


def test_tools_within_bounds_are_read_and_never_interpreted() -> None:
    pattern = {"type": "object", "properties": {"x": {"type": "string", "pattern": "(a+)+$"}}}
    schema = {"type": "function", "function": {"name": "f", "parameters": pattern}}
    read(tools=[schema, TOOL, {"type": "web_search"}], tool_choice="auto")
    reference = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"$ref": "#"}}}
    read(response_format=reference)
    read(response_format={"type": "unheard of"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("user", "x" * 1_000_000),
        ("user", "a\x00b"),
        ("user", 5),
        ("metadata", {str(number): "x" for number in range(17)}),
        ("metadata", {"a": "x" * 1_000_000}),
        ("metadata", {"a": "\x00"}),
        ("metadata", {"a\x00": "x"}),
        ("metadata", {"a": 5}),
        ("metadata", {"a": None}),
        ("metadata", "x"),
        ("logit_bias", {str(number): 1 for number in range(1_025)}),
        ("logit_bias", {"5": "x"}),
        ("logit_bias", {"5": None}),
        ("logit_bias", {"5": 101}),
        ("logit_bias", [5]),
        ("top_logprobs", 21),
        ("seed", "1"),
        ("logprobs", 1),
        ("parallel_tool_calls", "yes"),
        ("tool_choice", 5),
        ("response_format", "json"),
        ("response_format", {}),
        ("presence_penalty", 3),
    ],
)
def test_other_parameters_are_bounded(name: str, value: object) -> None:
    assert refused(**{name: value}) == name


@pytest.mark.parametrize(
    "recording",
    [one for one in recordings("openai-chat") if one.status == 200],
    ids=lambda one: one.name,
)
def test_recorded_requests_are_read_and_pass_untouched(recording: Recording) -> None:
    body = recording.request.encode()
    call = CHAT.read_request(parse(body), body)
    told = replace(call, wants_usage=True)  # else a stream is asked for it
    assert CHAT.provider_body(told, call.model) is body


ODD_BODY = (
    b'{ "x_unknown" : [1.0, 1e2,\t{"a" : "\\u00e9"}], "messages":[ {"role":"user",'
    b'"content":"h\xc3\xa9"} ],"temperature":0.70,"model" : "gpt-4o" , "stream":true}'
)


def test_only_the_model_is_edited_when_only_it_differs() -> None:
    call = CHAT.read_request(parse(ODD_BODY), ODD_BODY)
    sent = CHAT.provider_body(replace(call, wants_usage=True), 'up"stream')
    assert sent == (
        b'{"x_unknown":[1.0, 1e2,\t{"a" : "\\u00e9"}],"messages":[ {"role":"user",'
        b'"content":"h\xc3\xa9"} ],"temperature":0.70,"model":"up\\"stream","stream":true}'
    )


def test_usage_is_asked_for_in_streams_and_other_options_stay() -> None:
    call = read(stream=True, stream_options={"x": 1.0, "include_usage": False})
    sent = json.loads(CHAT.provider_body(call, "gpt-4o"))
    assert sent == call.document | {"stream_options": {"x": 1.0, "include_usage": True}}
    bare = read(stream=True)
    sent = json.loads(CHAT.provider_body(bare, "gpt-4o"))
    assert sent == bare.document | {"stream_options": {"include_usage": True}}
    null = read(stream=True, stream_options=None)
    assert json.loads(CHAT.provider_body(null, "gpt-4o"))["stream_options"] == {
        "include_usage": True
    }


def test_nothing_to_edit_means_the_clients_own_bytes() -> None:
    for call in (read(), read(stream=True, stream_options={"include_usage": True})):
        assert CHAT.provider_body(call, "gpt-4o") is call.body


def test_fields_that_steer_a_gateway_are_stripped() -> None:
    steering = {"api_base": "http://127.0.0.1", "api_key": "sk-x", "extra_headers": {}, "quota": 9}
    call = read(**steering, base_url="x", custom_llm_provider="y", other="stays")
    assert set(call.stripped) == {*steering, "base_url", "custom_llm_provider"}
    sent = json.loads(CHAT.provider_body(call, "gpt-4o"))
    assert sent == {"model": "gpt-4o", "messages": HELLO, "other": "stays"}


def test_everything_that_is_input_is_in_the_prompt() -> None:
    called = {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"q":"ARGS"}'}}
    call = read(
        messages=[
            {"role": "system", "content": "SYSTEM"},
            {"role": "user", "name": "NAME", "content": [{"type": "text", "text": "PART"}]},
            {"role": "assistant", "content": None, "tool_calls": [called]},
            {"role": "tool", "tool_call_id": "1", "content": "RESULT"},
            {"role": "user", "content": [{"type": "unheard_of", "text": "ODD"}]},
        ],
        tools=[{"type": "function", "function": {"name": "TOOL", "description": "DESCRIBED"}}],
        response_format={"type": "json_schema", "json_schema": {"name": "SCHEMA"}},
    )
    told = "\n".join(CHAT.prompt(call).texts)
    words = ["SYSTEM", "NAME", "PART", "ARGS", "RESULT", "ODD", "TOOL", "DESCRIBED", "SCHEMA"]
    assert [word for word in words if word not in told] == []


def test_media_is_bounded_by_what_it_can_cost() -> None:
    def fixed(part: dict[str, Any], model: str = "gpt-4o") -> int:
        bare = CHAT.prompt(read(model=model)).fixed_tokens
        with_part = read(model=model, messages=[{"role": "user", "content": [part]}])
        return CHAT.prompt(with_part).fixed_tokens - bare

    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 100_000}}
    low = {"type": "image_url", "image_url": {"url": "https://x.org/a", "detail": "low"}}
    assert fixed(image) == IMAGE_TOKENS
    assert fixed(image, "gpt-4o-mini") == MINI_IMAGE_TOKENS
    assert (fixed(low), fixed(low, "m")) == (85, IMAGE_LOW_TOKENS)
    assert CHAT.prompt(read(messages=[{"role": "user", "content": [image]}])).texts == ()
    audio = {"type": "input_audio", "input_audio": {"data": "A" * 64_000, "format": "mp3"}}
    wav = {"type": "input_audio", "input_audio": {"data": "A" * 64_000, "format": "wav"}}
    assert fixed(audio) == 2_001
    assert fixed(wav) == 201
    file = {"type": "file", "file": {"file_data": "A" * 64_000}}
    assert fixed(file) == 24_000
    assert fixed({"type": "file", "file": {"file_id": "f"}}) == 50_000
