"""What a channel or a model's name changes in a generateContent request.

Source: https://ai.google.dev/gemini-api/docs/thinking; shares of the budget are what operators of
this family are used to.
"""

from collections.abc import Mapping
from typing import Any

from gateway.conversation.request import Reasoning
from gateway.formats.gemini.carried_thoughts import without_carried
from gateway.formats.gemini.requests.contents import contents_of, parts_of
from gateway.formats.shared.vendors.accepted import Accepted
from gateway.http.raw_members import Edits

_SHARE_PERCENT = 60
_TOLD_BUDGET = ("thinkingBudget", "thinking_budget", "thinkingLevel", "thinking_level")


def think(document: Mapping[str, Any], model: str, reasoning: Reasoning) -> Edits:
    """The budget or level of thinking; everything else the client set stays."""
    name, settings = _member(document, "generationConfig", "generation_config")
    told_as, own = _member(settings, "thinkingConfig", "thinking_config")
    told = _told(own, settings, model, reasoning)
    return Edits({name: {**settings, told_as: {**own, **told}}})


def _told(
    own: Mapping[str, Any], settings: Mapping[str, Any], model: str, reasoning: Reasoning
) -> dict[str, Any]:
    least, most = _budget_range(model)
    if reasoning.is_on is False:
        return {"thinkingBudget": 0} if least == 0 or "flash-lite" in model else {}
    if reasoning.effort:
        return {"thinkingLevel": reasoning.effort, "includeThoughts": True}
    if reasoning.budget_tokens is not None:
        return {"thinkingBudget": min(max(reasoning.budget_tokens, least), most)}
    if any(name in own for name in _TOLD_BUDGET):
        return {"includeThoughts": True}
    limit = settings.get("maxOutputTokens") or settings.get("max_output_tokens")
    budget = most if limit is None else limit * _SHARE_PERCENT // 100
    return {"thinkingBudget": min(max(budget, least), most), "includeThoughts": True}


def _budget_range(model: str) -> tuple[int, int]:
    """The least and the most that a model can be told to think, in tokens."""
    if "2.5-pro" in model:
        return 128, 32_768
    return (512, 24_576) if "2.5-flash-lite" in model else (0, 24_576)


def fit(document: Mapping[str, Any], takes: Accepted) -> Edits:
    """The contents without other vendors' thoughts, and without ids of calls and results where a
    vendor has none.
    """
    contents = contents_of(document)
    kept = [without_carried(content, takes.signs_calls) for content in contents]
    if not takes.has_call_ids:
        kept = [_without_ids(content) for content in kept]
    return Edits({"contents": kept}) if kept != contents else Edits()


def _without_ids(content: Mapping[str, Any]) -> Mapping[str, Any]:
    parts = [
        {name: _without_id(value) if name in _CALLS else value for name, value in part.items()}
        for part in parts_of(content)
    ]
    return {**content, "parts": parts} if "parts" in content else content


def _without_id(call: Any) -> Any:  # noqa: ANN401 - decoded JSON
    if not isinstance(call, dict):
        return call
    return {name: value for name, value in call.items() if name != "id"}


_CALLS = ("functionCall", "function_call", "functionResponse", "function_response")


def lead(document: Mapping[str, Any], words: str, before_own: bool) -> dict[str, Any]:
    """A system prompt, where there is none or before the client's own."""
    name, own = _member(document, "systemInstruction", "system_instruction")
    if own and not before_own:
        return {}
    told = own if isinstance(own, dict) else {}
    return {name: {**told, "parts": [{"text": words}, *parts_of(own)]}}


def _member(document: Mapping[str, Any], name: str, other: str) -> tuple[str, Any]:
    """A member under the name the client gave it: this format takes both spellings."""
    used = other if document.get(name) is None and document.get(other) is not None else name
    return used, document.get(used) or {}
