"""What OpenAI's models take, told from their names: a request is refused as a whole for a word too
many, whichever of their two formats it is in.

Source: https://platform.openai.com/docs/guides/{reasoning,latest-model}
"""

import re

from gateway.conversation.request import Reasoning, Sampling

_THINKING = re.compile(r"(?:.*/)?(?:o\d|gpt-5(?!.*-chat)|gpt-oss|codex|gemini)")
_NEW_LIMIT = re.compile(r"(?:.*/)?(?:o\d|gpt-5|codex)")
_DRAWING_BY_ITSELF = re.compile(r"(?:.*/)?(?:o\d|gpt-5(?!.*-chat))")


def takes_effort(model: str) -> bool:
    """Whether a model knows `reasoning_effort`; the others refuse the whole request for it."""
    return _THINKING.match(model) is not None


def takes_completion_limit(model: str) -> bool:
    """Whether a model wants `max_completion_tokens` and refuses `max_tokens`."""
    return _NEW_LIMIT.match(model) is not None


def draws_by_itself(model: str) -> bool:
    """Whether a model, while it thinks, refuses to be told how to draw its tokens."""
    return _DRAWING_BY_ITSELF.match(model) is not None


def refused_sampling(model: str, sampling: Sampling, reasoning: Reasoning | None) -> list[str]:
    """What of a client's sampling a model refuses, by the names of chat completions. A temperature
    and a share of 1 are what it draws with anyway.
    """
    if not draws_by_itself(model) or (reasoning is not None and reasoning.effort == "none"):
        return []
    members = {
        "temperature": sampling.temperature not in (None, 1),
        "top_p": sampling.top_p not in (None, 1),
        "frequency_penalty": bool(sampling.frequency_penalty),
        "presence_penalty": bool(sampling.presence_penalty),
        "logit_bias": bool(sampling.logit_bias),
        "logprobs": sampling.wants_logprobs,
        "top_logprobs": sampling.top_logprobs is not None,
    }
    return [name for name, is_set in members.items() if is_set]
