"""What a model takes, told from its name: a request is refused as a whole for one word too many.

Sources: https://docs.anthropic.com/en/docs/build-with-claude/{extended-thinking,adaptive-thinking,
effort,structured-outputs,mid-conversation-system-messages} and
https://docs.anthropic.com/en/docs/about-claude/models/migration-guide
"""

import re
from dataclasses import dataclass
from typing import Literal

# 2026-11: claude-opus-4-8, claude-haiku-4-5-20251001, claude-mythos-preview; before version 4 and
# at some resellers claude-3-7-sonnet-latest, claude-4.7-opus. A date is no minor version.
_KIND_FIRST = re.compile(
    r"claude-(opus|sonnet|haiku|fable|mythos)-(?:(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)|preview)"
)
_VERSION_FIRST = re.compile(r"claude-(\d{1,2})(?:[-.](\d{1,2}))?-(opus|sonnet|haiku)")
_ALWAYS_THINKING = ("fable", "mythos")

MAX_TOKENS = 16_384
"""Asked for where a client sets no limit, which this format demands; models that cannot write as
much are asked for what they can.
"""
_WRITTEN_MOST = (((3, 0), 4_096), ((3, 5), 8_192))
"""Up to which version a model writes how much: from 3.7 on it is more than `MAX_TOKENS`.

Source: https://platform.claude.com/docs/en/about-claude/models/overview
"""

Thinking = Literal["never", "budget", "adaptive"]


@dataclass(frozen=True, slots=True)
class Traits:
    """`efforts` are the words for `output_config.effort`, from least to most; none: not known."""

    thinking: Thinking = "budget"
    can_rest: bool = True
    efforts: tuple[str, ...] = ()
    takes_sampling: bool = True
    takes_temperature_with_top_p: bool = True
    has_structured_output: bool = False
    has_later_system_messages: bool = False
    max_tokens: int = MAX_TOKENS


def traits_of(model: str) -> Traits:
    """What `model` takes. Of what is not Claude, only what every such service knows."""
    if (found := _KIND_FIRST.search(model)) is not None:
        kind = found[1]
        version = (int(found[2]), int(found[3] or 0)) if found[2] else (5, 0)
    elif (found := _VERSION_FIRST.search(model)) is not None:
        kind, version = found[3], (int(found[1]), int(found[2] or 0))
    else:
        return Traits()
    is_old = version < (3, 7)
    return Traits(
        thinking="never" if is_old else "adaptive" if version >= (4, 6) else "budget",
        can_rest=kind not in _ALWAYS_THINKING and not is_old,
        efforts=_efforts(version),
        takes_sampling=version < (4, 7),
        takes_temperature_with_top_p=version < (4, 1),
        has_structured_output=version >= (4, 5),
        has_later_system_messages=version >= (4, 8),
        max_tokens=next((most for last, most in _WRITTEN_MOST if version <= last), MAX_TOKENS),
    )


def _efforts(version: tuple[int, int]) -> tuple[str, ...]:
    if version >= (4, 7):
        return ("low", "medium", "high", "xhigh", "max")
    return ("low", "medium", "high", "max") if version == (4, 6) else ()
