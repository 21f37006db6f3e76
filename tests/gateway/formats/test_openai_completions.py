"""Legacy completions: what is read, counted, passed on, translated, and refused by name."""

from typing import Any

import msgspec
import pytest

from gateway.conversation.reasoning_suffixes import Suffix
from gateway.errors import InvalidRequest
from gateway.formats.registry import FORMATS
from gateway.formats.translator import Asking, PassingThrough, Translators
from gateway.formats.values import ChatCall, Piece
from ledger.usage import Usage

LEGACY = FORMATS["openai_completions"]
USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}


def call_of(**fields: object) -> ChatCall:
    document: dict[str, Any] = {"model": "m", "prompt": "once upon", **fields}
    return LEGACY.read_request(document, msgspec.json.encode(document))


def asking(model: str, words: str = "") -> Asking:
    return Asking(Suffix(model), words)


def count_words(texts: Any) -> int:  # noqa: ANN401 - a sequence of strings
    return sum(len(text.split()) for text in texts)


@pytest.mark.parametrize(
    ("prompt", "texts", "tokens"),
    [
        ("once upon", ("once upon",), 20),
        ("", ("",), 20),
        (["a", "b c"], ("a", "b c"), 24),
        ([11, 12, 13], (), 23),
        ([[11, 12], [13]], (), 27),
    ],
)
def test_every_form_of_a_prompt_is_counted(
    prompt: object, texts: tuple[str, ...], tokens: int
) -> None:
    counted = LEGACY.prompt(call_of(prompt=prompt))
    assert counted.texts == texts
    assert counted.fixed_tokens == tokens


def test_a_suffix_is_counted_for_every_prompt() -> None:
    assert LEGACY.prompt(call_of(prompt=["a", "b"], suffix="z")).texts == ("a", "z", "b", "z")


@pytest.mark.parametrize(
    ("fields", "choices"),
    [
        ({}, 1),
        ({"n": 3}, 3),
        ({"best_of": 5}, 5),
        ({"n": 2, "best_of": 5}, 5),
        ({"n": 2, "prompt": ["a", "b", "c"]}, 6),
        ({"best_of": 4, "prompt": [[1], [2]]}, 8),
        ({"prompt": [1, 2, 3]}, 1),
    ],
)
def test_a_hold_covers_every_completion_that_is_generated(
    fields: dict[str, Any], choices: int
) -> None:
    assert call_of(**fields).choices == choices


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompt": None}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": {"a": 1}}, "prompt"),
        ({"prompt": [True]}, "prompt[0]"),
        ({"prompt": [1, -2]}, "prompt"),
        ({"prompt": [1, "a"]}, "prompt"),
        ({"prompt": ["a", 1]}, "prompt[1]"),
        ({"prompt": [[1], []]}, "prompt[1]"),
        ({"prompt": ["a"] * 2_049}, "prompt"),
        ({"n": 0}, "n"),
        ({"best_of": 21}, "best_of"),
        ({"stream": True, "best_of": 2}, "best_of"),
        ({"stream": True, "echo": True, "prompt": [1]}, "echo"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"logprobs": True}, "logprobs"),
        ({"stop": [""]}, "stop[0]"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"logit_bias": {"1": "a"}}, "logit_bias"),
        ({"model": None}, "model"),
    ],
)
def test_what_is_wrong_is_refused_by_its_name(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        call_of(**fields)
    assert refusal.value.param == param


def test_the_clients_bytes_pass_but_for_the_declared_edits() -> None:
    call = call_of(stream=True, api_key="x")
    sent = LEGACY.provider_body(call, "up")
    assert msgspec.json.decode(sent) == {
        "model": "up",
        "prompt": "once upon",
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert LEGACY.provider_body(call_of(), "m") == call_of().body


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompt": ["a", "b"]}, "prompt"),
        ({"prompt": [1, 2]}, "prompt"),
        ({"echo": True}, "echo"),
        ({"suffix": "the end"}, "suffix"),
        ({"best_of": 3, "n": 2}, "best_of"),
        ({"max_tokens": 0}, "max_tokens"),
    ],
)
def test_what_a_translation_cannot_say_is_refused_by_its_name(
    fields: dict[str, Any], param: str
) -> None:
    translators = Translators(LEGACY, FORMATS)
    call = call_of(**fields)
    for name in FORMATS:
        translator = translators.to(name)
        if isinstance(translator, PassingThrough):
            assert translator.outgoing(call, asking("m")).body == call.body
        else:
            with pytest.raises(InvalidRequest) as refusal:
                translator.outgoing(call, asking("up"))
            assert (refusal.value.param, refusal.value.code) == (param, "not_expressible"), name


def test_a_prompt_becomes_what_a_user_says() -> None:
    call = call_of(
        n=2, best_of=2, max_tokens=9, temperature=0.5, stop="x", logprobs=3, echo=False, suffix="",
        user="u", seed=4, odd=1,
    )  # fmt: skip
    outgoing = Translators(LEGACY, FORMATS).to("openai_chat").outgoing(call, asking("up"))
    assert msgspec.json.decode(outgoing.body) == {
        "model": "up",
        "messages": [{"role": "user", "content": "once upon"}],
        "max_tokens": 9,
        "n": 2,
        "temperature": 0.5,
        "stop": ["x"],
        "seed": 4,
        "logprobs": True,
        "top_logprobs": 3,
        "user": "u",
    }
    assert outgoing.losses == ("odd",)


@pytest.mark.parametrize(
    ("fields", "prompt"),
    [
        ({"prompt": "a"}, "be brief\n\na"),
        ({"prompt": ["a", "b"]}, ["be brief\n\na", "be brief\n\nb"]),
        ({"prompt": [1, 2]}, [1, 2]),
        ({"prompt": "a", "echo": True}, "a"),
    ],
)
def test_a_channels_system_prompt_is_what_a_prompt_begins_with(
    fields: dict[str, Any], prompt: object
) -> None:
    translator = Translators(LEGACY, FORMATS).to("openai_completions")
    sent = translator.outgoing(call_of(**fields), asking("m", "be brief")).body
    assert msgspec.json.decode(sent)["prompt"] == prompt


def test_a_request_in_its_own_format_loses_nothing() -> None:
    call = call_of(n=2, max_tokens=9, logprobs=0, stop=["x"], odd=1)
    conversation = LEGACY.translation.conversation(call)
    written = LEGACY.translation.request(conversation, "m")
    assert written.document == call.document
    assert written.losses == ()


def test_probabilities_of_a_chat_model_are_told_in_rows() -> None:
    content = [
        {"token": "a", "logprob": -0.5, "top_logprobs": [{"token": "b", "logprob": -1.0}]},
        {"token": " c", "logprob": -0.25, "top_logprobs": []},
    ]
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": "a c"},
        "logprobs": {"content": content},
        "finish_reason": "length",
    }
    answer = {"id": "chatcmpl-1", "object": "chat.completion", "created": 7, "model": "up"}
    translator = Translators(LEGACY, FORMATS).to("openai_chat")
    whole = translator.whole(msgspec.json.encode({**answer, "choices": [choice], "usage": USAGE}))
    told = msgspec.json.decode(
        translator.told(call_of(logprobs=1), whole, Usage(input=5, output=2))
    )
    assert (told["object"], told["created"], told["model"]) == ("text_completion", 7, "m")
    assert told["choices"] == [
        {
            "text": "a c",
            "index": 0,
            "logprobs": {
                "tokens": ["a", " c"],
                "token_logprobs": [-0.5, -0.25],
                "top_logprobs": [{"b": -1.0}, {}],
                "text_offset": [0, 1],
            },
            "finish_reason": "length",
        }
    ]


def event(**chunk: object) -> bytes:
    return b"data: " + msgspec.json.encode({"id": "cmpl-1", "object": "text_completion", **chunk})


def chunk(text: str, finish_reason: str | None = None, index: int = 0) -> bytes:
    choice = {"text": text, "index": index, "logprobs": None, "finish_reason": finish_reason}
    return event(choices=[choice]) + b"\n\n"


STREAM = (
    chunk("once upon")
    + chunk(" a time", "stop")
    + event(choices=[], usage=USAGE)
    + b"\n\ndata: [DONE]\n\n"
)


@pytest.mark.parametrize("size", [1, 7, 64, len(STREAM)])
def test_a_stream_is_read_however_it_is_cut(size: int) -> None:
    reader = LEGACY.stream(call_of(stream=True), count_words)
    pieces: list[Piece] = []
    for at in range(0, len(STREAM), size):
        pieces += reader.feed(STREAM[at : at + size])
    assert [piece.kind for piece in pieces] == ["content", "content", "usage", "end"]
    assert b"".join(piece.raw for piece in pieces) == STREAM
    assert reader.finished
    assert reader.usage == Usage(input=5, output=2)
    assert reader.delivered.count() == 4
    assert reader.closing(Usage(input=5, output=2)) == b"data: [DONE]\n\n"


def test_an_echoed_prompt_is_no_output() -> None:
    call = call_of(stream=True, echo=True, prompt=["once upon", "x"], n=2)
    reader = LEGACY.stream(call, count_words)
    reader.feed(chunk("once") + chunk(" upon"))
    assert not reader.saw_content
    reader.feed(chunk(" a time"))
    reader.feed(chunk("once upon a", index=1))
    reader.feed(chunk("x yes", index=3))
    assert reader.output_tokens_at_least() <= 3
    assert reader.delivered.count() == 4


def test_usage_that_was_asked_for_and_not_told_is_counted_for_the_client() -> None:
    asked = call_of(stream=True, stream_options={"include_usage": True})
    for call in (asked, call_of(stream=True)):
        reader = LEGACY.stream(call, count_words)
        reader.feed(chunk("a", "stop"))
        assert reader.finished
        told = reader.closing(Usage(input=3, output=1)).split(b"\n\n")
        assert len(told) == (3 if call is asked else 2)
        assert told[-2] == b"data: [DONE]"
        if call is asked:
            usage = msgspec.json.decode(told[0].removeprefix(b"data: "))["usage"]
            assert (usage["prompt_tokens"], usage["completion_tokens"]) == (3, 1)


@pytest.mark.parametrize(
    "broken",
    [b"data: {\n\n", b'data: {"error": {"message": "no", "code": 429}}\n\n', b"data: 3\n\n"],
)
def test_an_odd_event_breaks_the_stream(broken: bytes) -> None:
    reader = LEGACY.stream(call_of(stream=True), count_words)
    pieces = reader.feed(chunk("a") + broken + chunk("b"))
    assert [piece.kind for piece in pieces] == ["content", "error"]
    assert reader.error is not None
    assert reader.feed(chunk("c")) == []


def test_several_choices_are_told_apart_in_a_stream() -> None:
    translator = Translators(LEGACY, FORMATS).to("openai_chat")
    call = call_of(stream=True, n=2)
    reader = translator.stream(call, count_words)
    told = b""
    for index, word in ((0, "a"), (1, "b"), (0, " c")):
        delta = {"index": index, "delta": {"content": word}, "finish_reason": None}
        told += b"".join(
            piece.raw
            for piece in reader.feed(event(choices=[delta]).replace(b"cmpl-1", b"x") + b"\n\n")
        )
    told += reader.closing(Usage(input=1, output=3))
    again = LEGACY.stream(call, count_words)
    again.feed(told)
    assert again.finished
    assert again.delivered.count() == 3
    assert told.endswith(b"data: [DONE]\n\n")
