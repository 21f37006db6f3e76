"""Other vendors' thoughts on their way through this format's clients, and back unharmed.

Some vendors let a model think on while it uses tools only if they are sent back what it thought
before (Claude's, with its signature). Clients of this format leave out thoughts and keep what signs
a call of a tool, as its vendor asks them to. So what was thought before a call stands in the call's
signature.

Sources: https://ai.google.dev/gemini-api/docs/thought-signatures;
https://platform.claude.com/docs/en/build-with-claude/extended-thinking#preserving-thinking-blocks
"""

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from gateway.conversation.parts import Part, Thinking, ToolCall
from gateway.formats.gemini.requests.contents import parts_of
from gateway.formats.gemini.vocabulary import NAME, member

UNSIGNED = "skip_thought_signature_validator"
"""Stands for the signature of a call that another model made, or whose client did not keep it.

Source: https://ai.google.dev/gemini-api/docs/thought-signatures
"""
_PREFIX = b"tollgate-thoughts:"
MARK = base64.b64encode(_PREFIX).decode()
"""What such a signature begins with: the prefix is as long as whole characters of base64 are."""
_PLAIN_BASE64 = str.maketrans("-_", "+/")
"""Google's SDK writes bytes in the alphabet for addresses."""
_NAMES = ("thoughtSignature", "thought_signature")

_Told = list[tuple[str, str, str, bool]]


def carried(thoughts: Iterable[Thinking]) -> str:
    """Thoughts as a call's signature."""
    told: _Told = [
        (each.text, each.signature, each.signed_by, each.is_redacted) for each in thoughts
    ]
    return base64.b64encode(_PREFIX + msgspec.json.encode(told)).decode()


def restored(signature: object) -> tuple[Thinking, ...]:
    """The thoughts in a call's signature; none where it is a signature, or none of ours."""
    if type(signature) is not str or not signature.startswith(MARK):
        return ()
    try:
        body = base64.b64decode(signature.translate(_PLAIN_BASE64), validate=True)
        told = msgspec.json.decode(body.removeprefix(_PREFIX), type=_Told)
    except (binascii.Error, ValueError, msgspec.DecodeError):
        return ()
    return tuple(
        Thinking(text=text, signature=signature, signed_by=signed_by, is_redacted=is_redacted)
        for text, signature, signed_by, is_redacted in told
    )


def is_carried(thought: Part) -> bool:
    """Whether a part is a thought that this format has no place for."""
    return isinstance(thought, Thinking) and thought.signed_by != NAME


def signed_for(call: ToolCall, thoughts: Sequence[Thinking]) -> ToolCall:
    """A call with what was thought before it; one that its own vendor signed stays as it is."""
    if not thoughts or call.signature:
        return call
    return replace(call, signature=carried(thoughts))


def with_carried(parts: Iterable[Part]) -> list[Part]:
    """The parts of a whole answer, each call with what was thought before it."""
    told: list[Part] = []
    waiting: list[Thinking] = []
    for part in parts:
        if isinstance(part, ToolCall):
            told.append(signed_for(part, waiting))
            waiting = []
            continue
        if isinstance(part, Thinking) and is_carried(part):
            waiting.append(part)
        told.append(part)
    return told


def placed(parts: list[Part], thoughts: Sequence[Thinking]) -> list[Part]:
    """The parts of a turn with thoughts where they were had: before the words that led to the call
    which comes next. What a client sends back of the same thoughts is left out.
    """
    behind = max((at for at, part in enumerate(parts, 1) if isinstance(part, ToolCall)), default=0)
    words = [part for part in parts[behind:] if not is_carried(part)]
    return [*parts[:behind], *thoughts, *words]


def without_carried(content: Mapping[str, Any], signs_calls: bool) -> Mapping[str, Any]:
    """A content as its own vendor takes it, which would find such a signature to be wrong."""
    parts = list(parts_of(content))
    if not any(restored(member(part, _NAMES[0])) for part in parts):
        return content
    return {**content, "parts": [_without(part, signs_calls) for part in parts]}


def _without(part: Mapping[str, Any], signs_calls: bool) -> Mapping[str, Any]:
    if not restored(member(part, _NAMES[0])):
        return part
    kept = {name: value for name, value in part.items() if name not in _NAMES}
    return kept | {_NAMES[0]: UNSIGNED} if signs_calls else kept
