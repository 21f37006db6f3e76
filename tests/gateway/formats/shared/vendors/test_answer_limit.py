"""C3: an answer ends at the client's own limit where the vendor takes none so low: it was asked for
more, and what it says of more is not told.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from gateway.call.metering.tokenizer import Tokenizer
from gateway.conversation.parts import Text, Thinking, ToolCall
from gateway.conversation.turn import (
    Begun,
    PartBegun,
    PartEnded,
    Stopped,
    StopReason,
    TextDelta,
    Turn,
)
from gateway.formats.registry import FORMATS
from gateway.formats.shared.vendors.accepted import accepted
from gateway.formats.shared.vendors.answer_limit import AnswerLimit, limit_to_keep
from gateway.formats.translator import Translators
from gateway.formats.values import FirstTokensOf
from ledger.usage import Usage
from tests.gateway.formats.shared.vendors.asking import (
    SAID,
    asked_of,
    call_of,
    events_of,
    sent,
    turn_of,
)
from tests.gateway.formats.told_turns import Told, read_stream

LIMITED: dict[str, dict[str, Any]] = {
    "openai_chat": {"messages": [SAID], "max_tokens": 5},
    "openai_completions": {"prompt": "hi", "max_tokens": 5},
    "openai_responses": {"input": "hi", "max_output_tokens": 5},
    "anthropic_messages": {"messages": [SAID], "max_tokens": 5},
    "gemini": {
        "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
        "generationConfig": {"maxOutputTokens": 5},
    },
}
Tell = Callable[..., Told]
PAIRS = [
    (client, provider, model)
    for client in LIMITED
    for provider, model in (("openai_responses", "gpt-4.1"), ("openai_chat", "gpt-5"))
    if client != provider
]


@pytest.fixture(scope="module")
def tokenizer() -> Iterator[Tokenizer]:
    tokenizer = Tokenizer()
    yield tokenizer
    tokenizer.close()


def whole(client: str, provider: str, turn: Turn, first: FirstTokensOf, most: int = 5) -> Told:
    """A whole answer as its client reads it."""
    one = Translators(FORMATS[client], FORMATS, first).to(provider)
    body = FORMATS[provider].translation.answer(asked_of(provider), turn, Usage(output=16))
    call = replace(call_of(client, LIMITED[client]), told_tokens_most=most)
    raw = one.told(call, one.whole(body), Usage(output=16))
    choice = FORMATS[client].translation.turn(msgspec.json.decode(raw)).choices[0]
    return Told(list(choice.parts), Stopped(choice=0, stop=choice.stop), raw)


def stream(client: str, provider: str, turn: Turn, first: FirstTokensOf, most: int = 5) -> Told:
    """The same as a stream, every text of the provider in pieces of three characters."""
    call = replace(call_of(client, LIMITED[client], is_stream=True), told_tokens_most=most)
    reader = Translators(FORMATS[client], FORMATS, first).to(provider).stream(call, len)
    writer = FORMATS[provider].translation.writer(asked_of(provider))
    body = writer.write(list(events_of(turn))) + writer.closing(Usage(output=16))
    pieces = [*reader.feed(body), *reader.finish()]
    assert reader.error is None
    raw = b"".join(piece.raw for piece in pieces if piece.kind != "end")
    return read_stream(client, raw + reader.closing(Usage(output=16)))


SAYS = "one two three four five six seven eight nine ten"
TELLERS = [whole, stream]


@pytest.mark.parametrize("tell", TELLERS)
@pytest.mark.parametrize(("client", "provider", "model"), PAIRS)
@pytest.mark.parametrize("stop", ["length", "stop"])
def test_c3_an_answer_ends_where_its_client_wants_it(
    tokenizer: Tokenizer, client: str, provider: str, model: str, stop: StopReason, tell: Tell
) -> None:
    document, losses = sent(client, provider, LIMITED[client], model, "openai")
    assert {document.get("max_output_tokens"), document.get("max_completion_tokens")} == {16, None}
    assert losses == ("max_tokens",)
    told = tell(client, provider, turn_of(Text(text=SAYS), stop=stop), tokenizer.first)
    assert (told.words, told.stop.stop) == ("one two three four five", "length")


@pytest.mark.parametrize("tell", TELLERS)
@pytest.mark.parametrize(("client", "provider"), [pair[:2] for pair in PAIRS])
def test_c3_an_answer_within_the_limit_is_told_as_it_came(
    tokenizer: Tokenizer, client: str, provider: str, tell: Tell
) -> None:
    turn = turn_of(Text(text="one two three four five"), stop="stop")
    told = tell(client, provider, turn, tokenizer.first)
    assert (told.words, told.stop.stop) == ("one two three four five", "stop")


@pytest.mark.parametrize("tell", TELLERS)
def test_c3_nobody_else_is_cut(tokenizer: Tokenizer, tell: Tell) -> None:
    turn = turn_of(Text(text=SAYS), stop="stop")
    for client, provider, model in PAIRS:
        takes = accepted("openai", provider, model)
        call = call_of(client, LIMITED[client])
        assert limit_to_keep(call, takes) == 5
        assert limit_to_keep(replace(call, max_output_tokens=16), takes) is None
        assert limit_to_keep(replace(call, max_output_tokens=None), takes) is None
        assert limit_to_keep(call, accepted("openai", "openai_chat", "gpt-4.1")) is None
    told = tell("openai_chat", "openai_responses", turn, tokenizer.first, most=16)
    assert (told.words, told.stop.stop) == (SAYS, "stop")


@pytest.mark.parametrize("tell", TELLERS)
@pytest.mark.parametrize(("most", "words"), [(0, ""), (1, "one"), (2, "one two")])
def test_c3_no_more_is_told_than_was_asked_for(
    tokenizer: Tokenizer, most: int, words: str, tell: Tell
) -> None:
    turn = turn_of(Text(text=SAYS), stop="stop")
    told = tell("anthropic_messages", "openai_responses", turn, tokenizer.first, most)
    assert (told.words, told.stop.stop) == (words, "length")


@pytest.mark.parametrize("tell", TELLERS)
def test_c3_a_call_is_cut_within_its_arguments_and_not_within_its_name(
    tokenizer: Tokenizer, tell: Tell
) -> None:
    call = ToolCall(id="c_1", name="look", arguments='{"city": "Berlin", "unit": "celsius"}')
    turn = turn_of(Text(text="one two"), call)
    told = tell("openai_chat", "openai_responses", turn, tokenizer.first, 6)
    assert (told.words, told.stop.stop) == ("one two", "length")
    [(name, arguments)] = told.calls
    assert name == "look"
    assert call.arguments.startswith(arguments)
    assert 0 < len(arguments) < len(call.arguments)
    told = tell("openai_chat", "openai_responses", turn, tokenizer.first, 2)
    assert (told.words, told.calls, told.stop.stop) == ("one two", [], "length")
    long = turn_of(replace(call, name="antidisestablishmentarianism"))
    told = tell("openai_chat", "openai_responses", long, tokenizer.first, 3)
    assert (told.calls, told.stop.stop) == ([], "length")


@pytest.mark.parametrize("most", range(12))
def test_c3_a_stream_is_cut_where_the_whole_is(tokenizer: Tokenizer, most: int) -> None:
    for text in ("unbelievable antidisestablishmentarianism", "日本語のテキスト🦜", "a\n\n\nb   c"):
        turn = turn_of(Text(text=text), stop="stop")
        first = tokenizer.first
        at_once = whole("openai_chat", "openai_responses", turn, first, most)
        piecemeal = stream("openai_chat", "openai_responses", turn, first, most)
        assert at_once.words == piecemeal.words == first("m", text, most)[0]
        assert at_once.stop.stop == piecemeal.stop.stop


def test_c3_a_stream_that_has_gone_far_beyond_is_ended_at_once(tokenizer: Tokenizer) -> None:
    limit = AnswerLimit(5, partial(tokenizer.first, "gpt-5"))
    turn = turn_of(Text(text=SAYS * 20), stop="stop")
    told = [limit.told([event]) for event in events_of(turn)]
    assert told[0] == [Begun(id="r_1", model="m")]
    ends = next(events for events in told[1:] if events)
    assert ends == [
        PartBegun(choice=0, number=0, part=Text(text="")),
        TextDelta(choice=0, number=0, text="one two three four five"),
        PartEnded(choice=0, number=0),
        Stopped(choice=0, stop="length"),
    ]
    assert told.index(ends) < 30
    assert not any(told[told.index(ends) + 1 :])


def test_c3_each_choice_has_the_whole_limit(tokenizer: Tokenizer) -> None:
    limit = AnswerLimit(3, partial(tokenizer.first, "gpt-5"))
    choice = turn_of(Text(text=SAYS), stop="stop").choices[0]
    short = replace(choice, parts=(Text(text="one two"),))
    told = limit.turn(Turn(format="", id="r", model="m", choices=(choice, short, choice)))
    texts = [each.parts[0].text for each in told.choices if isinstance(each.parts[0], Text)]
    assert texts == ["one two three", "one two", "one two three"]
    assert [each.stop for each in told.choices] == ["length", "stop", "length"]


def test_c3_hidden_thoughts_and_what_is_no_words_stay(tokenizer: Tokenizer) -> None:
    limit = AnswerLimit(3, partial(tokenizer.first, "gpt-5"))
    hidden = Thinking(text="", signature="sealed", signed_by="openai_responses")
    seen = Thinking(text="let me see now", signature="sealed", signed_by="openai_responses")
    turn = turn_of(Text(text=SAYS), stop="stop")
    behind = turn.choices[0].parts
    for thought, parts in (
        (hidden, (hidden, Text(text="one two three"))),
        (seen, (replace(seen, text="let me see"),)),
    ):
        choice = replace(turn.choices[0], parts=(thought, *behind))
        assert limit.turn(replace(turn, choices=(choice,))).choices[0].parts == parts
