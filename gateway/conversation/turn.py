"""The model's turn: whole, or as the events of a stream. In no format.

A stream is: one `Begun`; for every part of every choice `PartBegun`, its deltas and `PartEnded`; a
`Stopped` for every choice. Parts of a choice are numbered from 0 in the order in which they begin;
they mostly follow one another, but calls of tools may run side by side.
"""

from typing import Any, Literal

import msgspec

from gateway.conversation.parts import Part

StopReason = Literal[
    "stop",  # it had said what it had to say
    "stop_sequence",  # it said one of the client's
    "length",  # the limit of output tokens, or of the model's context
    "tool_calls",  # it waits for results of tools
    "content_filter",  # somebody else cut it short
    "refusal",  # it declined
    "pause",  # a long turn of provider's tools, to be continued by sending it back
    "other",  # for a reason that nobody here knows, in `stop_word`
]


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """One of the alternatives that were asked for."""

    parts: tuple[Part, ...]
    stop: StopReason
    stop_sequence: str = ""
    stop_word: str = ""
    logprobs: Any = None


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """A whole answer. `created_s` is the provider's clock, 0 where it tells none."""

    format: str
    id: str
    model: str
    choices: tuple[Choice, ...]
    created_s: int = 0
    service: str = ""
    foreign: dict[str, Any] = {}


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """The answer has begun."""

    id: str
    model: str
    created_s: int = 0


class PartBegun(msgspec.Struct, frozen=True, kw_only=True):
    """A part begins: `part` is what is known of it, its text still empty."""

    choice: int
    number: int
    part: Part


class TextDelta(msgspec.Struct, frozen=True, kw_only=True):
    """More of a part: words, thoughts, a refusal, or a tool call's arguments."""

    choice: int
    number: int
    text: str
    logprobs: Any = None


class SignatureDelta(msgspec.Struct, frozen=True, kw_only=True):
    """More of the signature of a part."""

    choice: int
    number: int
    signature: str
    signed_by: str


class CitationDelta(msgspec.Struct, frozen=True, kw_only=True):
    """One more citation of a text, as `citing` wrote it."""

    choice: int
    number: int
    citation: Any
    citing: str


class PartEnded(msgspec.Struct, frozen=True, kw_only=True):
    """A part is complete."""

    choice: int
    number: int


class Stopped(msgspec.Struct, frozen=True, kw_only=True):
    """A choice is complete."""

    choice: int
    stop: StopReason
    stop_sequence: str = ""
    stop_word: str = ""


TurnEvent = Begun | PartBegun | TextDelta | SignatureDelta | CitationDelta | PartEnded | Stopped
