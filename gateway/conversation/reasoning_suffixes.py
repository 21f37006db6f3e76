"""Model names that say how much to think: `o3-high`, `claude-opus-4-8-thinking`, `gpt-5-minimal`.

Operators of this family sell such names. What is read is the provider's name for the model, after
the channel's mapping, and only by the words of the family in whose format the provider is asked:
another gateway may be behind the channel, which wants the whole name. What only one vendor has is a
reader of its own, which the vendor names (`gateway.providers`).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from gateway.conversation.request import Reasoning

_KEPT = frozenset({"kimi-k2-thinking", "moonshotai/kimi-k2-thinking"})
"""Models whose own names end like that."""

OUTPUT_TOKENS_LEAST = 1_280
"""What a call has to have room for that thinks within a budget."""

_OPENAI = re.compile(r"(.*/)?(o\d|gpt-5)[^/]*?(?=-(high|minimal|low|medium|none|xhigh)$)")
_CLAUDE_EFFORT = re.compile(
    r"(.*[/.])?claude-[a-z]+-(4[-.]([6-9]|\d\d)|[5-9])(?!\d)[^/]*?"
    r"(?=-(?P<effort>max|xhigh|high|medium|low|minimal)$)"
)
_CLAUDE_THINKING = re.compile(r"(.*[/.])?claude-[^/]+?(?=-thinking$)")
_GEMINI = re.compile(
    r"(.*/)?gemini-[^/]+?(?=-(?P<suffix>thinking-(?P<budget>\d{1,7})|thinking|nothinking"
    r"|max|xhigh|high|medium|low|minimal)$)"
)
_DEEPSEEK = re.compile(r"(.*/)?deepseek-v4[^/]*?(?=-(?P<suffix>none|max)$)")
_GROK_SEARCH = re.compile(r"(.*/)?grok-[^/]+?(?=-search$)")
_GROK_EFFORT = re.compile(r"(.*/)?grok-3-mini[^/]*?(?=-(?P<effort>high|low)$)")
_DEEPSEEK_THINKING = re.compile(r"deepseek[^/]*?(?=-thinking$)")
_ANY_THINKING = re.compile(r".+(?=-thinking$)")


@dataclass(frozen=True, slots=True)
class Suffix:
    """What a name says: the model's own name, how it shall think, and members of the request that
    only its vendor knows. `output_tokens_least`: how much room its answer needs.
    """

    model: str
    reasoning: Reasoning | None = None
    members: Mapping[str, Any] = field(default_factory=dict)
    output_tokens_least: int = 0


SuffixReader = Callable[[str, str], Suffix | None]
"""What a provider's name of a model says, asked in a format; None: nothing in these words."""


@lru_cache(maxsize=10_000)
def read_suffix(
    name: str, format_name: str, own: tuple[SuffixReader, ...] = (), kept: tuple[str, ...] = ()
) -> Suffix:
    """What the provider's name of a model says where it is asked in `format_name`.

    `own`: the readers of its vendor, which go first. `kept`: names that mean themselves.

    >>> read_suffix("o3-high", "openai_chat").model
    'o3'
    """
    if "-" not in name or name in kept or name in _KEPT:
        return Suffix(name)
    for read in (*own, *_OF_FORMAT.get(format_name, ())):
        found = read(name, format_name)
        if found is not None:
            return found
    return Suffix(name)


def whole_name(name: str, _own_format: str) -> Suffix:
    """For gateways of this family, which read the name themselves."""
    return Suffix(name)


def _openai(name: str, _own_format: str) -> Suffix | None:
    found = _OPENAI.match(name)
    return None if found is None else Suffix(found[0], Reasoning(effort=found[3]))


def _claude(name: str, _own_format: str) -> Suffix | None:
    if (found := _CLAUDE_EFFORT.match(name)) is not None:
        return Suffix(found[0], Reasoning(is_on=True, is_adaptive=True, effort=found["effort"]))
    if (found := _CLAUDE_THINKING.match(name)) is not None:
        return Suffix(found[0], Reasoning(is_on=True), output_tokens_least=OUTPUT_TOKENS_LEAST)
    return None


def _gemini(name: str, _own_format: str) -> Suffix | None:
    found = _GEMINI.match(name)
    if found is None:
        return None
    if found["budget"] is not None:
        reasoning = Reasoning(is_on=True, budget_tokens=int(found["budget"]))
    elif found["suffix"] == "nothinking":
        reasoning = Reasoning(is_on=False)
    elif found["suffix"] == "thinking":
        reasoning = Reasoning(is_on=True, tells_thoughts=True)
    else:
        reasoning = Reasoning(effort=found["suffix"], tells_thoughts=True)
    return Suffix(found[0], reasoning)


def deepseek(name: str, format_name: str) -> Suffix | None:
    """`-none`, `-max` of DeepSeek's own models from version 4 on.

    Source: https://api-docs.deepseek.com/guides/thinking_mode.
    """
    found = _DEEPSEEK.match(name)
    if found is None:
        return None
    is_off = found["suffix"] == "none"
    members: dict[str, Any]
    if format_name == "openai_responses":
        members = {"reasoning": {"effort": found["suffix"]}}
    elif is_off:
        members = {"thinking": {"type": "disabled"}}
    elif format_name == "anthropic_messages":
        members = {"thinking": {"type": "enabled"}, "output_config": {"effort": "max"}}
    else:
        members = {"thinking": {"type": "enabled"}, "reasoning_effort": "max"}
    return Suffix(found[0], members=members)


def grok(name: str, format_name: str) -> Suffix | None:
    """`-search` of xAI's models, and efforts of the one that has them.

    Source: https://docs.x.ai/docs/guides/live-search.
    """
    if (found := _GROK_EFFORT.match(name)) is not None:
        return Suffix(found[0], Reasoning(effort=found["effort"]))
    found = _GROK_SEARCH.match(name)
    if found is None or format_name != "openai_chat":
        return None
    return Suffix(found[0], members={"search_parameters": {"mode": "on"}})


def deepseek_thinking(name: str, format_name: str) -> Suffix | None:
    """`-thinking` of DeepSeek's models at others."""
    found = _DEEPSEEK_THINKING.match(name)
    if found is None or format_name not in ("openai_chat", "anthropic_messages"):
        return None
    return Suffix(found[0], members={"thinking": {"type": "enabled"}})


def search(name: str, format_name: str) -> Suffix | None:
    """`-search` of any model, in Baidu's words."""
    if not name.endswith("-search") or format_name != "openai_chat":
        return None
    return Suffix(name.removesuffix("-search"), members={"web_search": {"enable": True}})


def any_thinking(name: str, format_name: str) -> Suffix | None:
    """`-thinking` of whatever model OpenRouter offers.

    Source: https://openrouter.ai/docs/use-cases/reasoning-tokens.
    """
    found = _ANY_THINKING.match(name)
    if found is None or format_name not in ("openai_chat", "openai_responses"):
        return None
    return Suffix(found[0], members={"reasoning": {"enabled": True}})


_OF_FORMAT: Mapping[str, tuple[SuffixReader, ...]] = {
    "openai_chat": (_openai,),
    "openai_responses": (_openai,),
    "anthropic_messages": (_claude,),
    "gemini": (_gemini,),
}
