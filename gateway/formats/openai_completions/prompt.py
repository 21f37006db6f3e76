"""What of a completions request is input, erring upwards: a hold must cover it first."""

from gateway.formats.openai_completions.request import prompts_of
from gateway.formats.values import ChatCall, Prompt

REQUEST_TOKENS = 16
PROMPT_TOKENS = 4
"""A practical bound: what begins a text, and what marks the place between it and its suffix."""


def prompt(call: ChatCall) -> Prompt:
    """Texts and fixed tokens of `call`; tokens count as what they are."""
    texts: list[str] = []
    fixed_tokens = REQUEST_TOKENS
    suffix = call.document.get("suffix")
    for one in prompts_of(call.document):
        fixed_tokens += PROMPT_TOKENS
        if isinstance(one, str):
            texts.append(one)
        else:
            fixed_tokens += len(one)
        if suffix:
            texts.append(suffix)
    return Prompt(texts=tuple(texts), fixed_tokens=fixed_tokens)
