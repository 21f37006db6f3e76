"""Token counts: golden where they are exact, never below the truth where they are a bound."""

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.call.metering.tokenizer import (
    COUNTED_MAX_BYTES,
    INLINE_MAX_BYTES,
    SLICE_CHARACTERS,
    Tokenizer,
    _load,
)
from gateway.formats.registry import FORMATS
from gateway.formats.values import Prompt
from tests.recorded import Recording, recordings

CHAT = FORMATS["openai_chat"]
GOLDEN = [
    # Text, cl100k_base, o200k_base; known from tiktoken's own documentation and tests.
    ("", 0, 0),
    ("hello world", 2, 2),
    ("tiktoken is great!", 6, 6),
    ("antidisestablishmentarianism", 6, 6),
    ("2 + 2 = 4", 7, 7),
    ("お誕生日おめでとう", 9, 8),
    ("<|endoftext|>", 7, 7),
    (" " * 128, 1, 1),
    ("\x01" * 50, 50, 50),
]


@pytest.fixture(scope="module")
def tokenizer() -> Iterator[Tokenizer]:
    tokenizer = Tokenizer()
    yield tokenizer
    tokenizer.close()


def bounded(tokenizer: Tokenizer, text: str, model: str = "gpt-4o") -> int:
    return asyncio.run(tokenizer.count_bounded(model, Prompt(texts=(text,), fixed_tokens=0)))


@pytest.mark.parametrize(("text", "cl100k", "o200k"), GOLDEN)
def test_golden_counts(tokenizer: Tokenizer, text: str, cl100k: int, o200k: int) -> None:
    for model in ("gpt-4", "gpt-3.5-turbo-0125", "openai/gpt-4-turbo"):
        assert tokenizer.count(model, [text]) == cl100k
    for model in ("gpt-4o", "gpt-4.1-mini", "gpt-5", "o3-mini", "openai/gpt-4o", "gpt-oss-120b"):
        assert tokenizer.count(model, [text]) == o200k
    assert tokenizer.count("some-other-model", [text]) == o200k


@pytest.mark.parametrize(
    ("text", "most", "head"),
    [
        ("hello world", 1, ("hello", 1)),
        ("hello world", 2, ("hello world", 2)),
        ("hello world", 9, ("hello world", 2)),
        ("hello world", 0, ("", 0)),
        ("", 0, ("", 0)),
        ("a🦜b", 2, ("a", 2)),  # a bird is three tokens, and not told by halves
        ("x\ud83d", 9, ("x\ud83d", 2)),
    ],
)
def test_the_first_tokens_are_whole_characters(
    tokenizer: Tokenizer, text: str, most: int, head: tuple[str, int]
) -> None:
    assert tokenizer.first("gpt-4o", text, most) == head


def test_the_first_tokens_of_a_very_long_text_are_soon_found(tokenizer: Tokenizer) -> None:
    assert tokenizer.first("gpt-4o", "ha " * 5_000_000, 3)[1] == 3
    assert tokenizer.first("gpt-4o", "a" * SLICE_CHARACTERS * 2, 1 << 40)[0] == (
        "a" * SLICE_CHARACTERS
    )


def test_texts_add_up_and_fixed_tokens_are_added(tokenizer: Tokenizer) -> None:
    assert tokenizer.count("gpt-4o", ["hello world", "", "hello world"]) == 4
    prompt = Prompt(texts=("hello world",) * 3, fixed_tokens=10)
    assert asyncio.run(tokenizer.count_bounded("gpt-4o", prompt)) == 16
    assert asyncio.run(tokenizer.count_bounded("gpt-4o", Prompt((), 5))) == 5


def test_a_model_with_another_tokenizer_gets_a_margin_and_never_more_than_bytes(
    tokenizer: Tokenizer,
) -> None:
    assert bounded(tokenizer, "tiktoken is great!", "claude-sonnet-4-5") == 9
    assert bounded(tokenizer, "\x01" * 50, "claude-sonnet-4-5") == 50


@given(st.text(max_size=300), st.sampled_from(["gpt-4", "gpt-4o", "claude-sonnet-4-5"]))
def test_a_small_prompt_is_exact_or_above_and_never_more_than_its_bytes(
    text: str, model: str
) -> None:
    truth = TOKENIZER.count(model, [text])
    assert truth <= bounded(TOKENIZER, text, model) <= len(text.encode())
    if model.startswith("gpt"):
        assert bounded(TOKENIZER, text, model) == truth


@given(
    st.one_of(
        st.text(min_size=1, max_size=60),
        st.text(alphabet=" \n\t\r", min_size=1, max_size=60),
        st.text(alphabet="aA0=+/", min_size=1, max_size=60),
        st.text(alphabet="👩‍🚀é汉字한국́", min_size=1, max_size=30),
    )
)
@example("presence0000akty")
def test_a_large_prompt_is_never_below_the_truth(text: str) -> None:
    repeated = text * (3 * SLICE_CHARACTERS // len(text) + 1)
    truth = len(O200K.encode_ordinary(repeated))
    found = bounded(TOKENIZER, repeated)
    assert truth <= found
    slices = len(repeated) // SLICE_CHARACTERS + 1
    assert found <= truth * 1.01 + 8 * slices + 8


def test_beyond_what_is_counted_each_byte_is_a_token(tokenizer: Tokenizer) -> None:
    assert bounded(tokenizer, "a" * (COUNTED_MAX_BYTES + 1)) == COUNTED_MAX_BYTES + 1
    assert bounded(tokenizer, "é" * COUNTED_MAX_BYTES) == 2 * COUNTED_MAX_BYTES
    assert bounded(tokenizer, "word " * 20_000) < 30_000


def test_counting_a_large_prompt_leaves_the_event_loop_free(tokenizer: Tokenizer) -> None:
    large = Prompt(texts=("word " * (INLINE_MAX_BYTES * 4),), fixed_tokens=0)

    async def turns_meanwhile() -> int:
        counting = asyncio.create_task(tokenizer.count_bounded("gpt-4o", large))
        turns = 0
        while not counting.done():
            turns += 1
            await asyncio.sleep(0)
        return turns

    assert asyncio.run(turns_meanwhile()) > 10


@pytest.mark.parametrize(
    "recording",
    [one for one in recordings("openai-chat") if one.usage],
    ids=lambda one: one.name,
)
def test_the_bound_covers_what_providers_counted(
    tokenizer: Tokenizer, recording: Recording
) -> None:
    call = CHAT.read_request(recording.document, recording.request.encode())
    found = asyncio.run(tokenizer.count_bounded(call.model, CHAT.prompt(call)))
    counted: int = recording.usage["prompt_tokens"]
    assert counted <= found <= 2 * counted + 200


def test_half_a_surrogate_pair_is_counted_and_not_a_crash(tokenizer: Tokenizer) -> None:
    assert bounded(tokenizer, "a\ud800b") > 0


TOKENIZER = Tokenizer()
O200K = _load("o200k_base")
