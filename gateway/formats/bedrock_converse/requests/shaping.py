"""What a channel or a model's name changes in a Converse request."""

from collections.abc import Mapping
from typing import Any

from gateway.conversation.request import Reasoning
from gateway.formats.bedrock_converse.models import traits_of
from gateway.formats.bedrock_converse.requests.thinking import thoughts
from gateway.http.raw_members import Edits

_DRAWN = {"temperature": "temperature", "topP": "top_p"}


def think(document: Mapping[str, Any], model: str, reasoning: Reasoning) -> Edits:
    """The model's own fields for thinking; everything else the client set stays, but for what the
    model decides by itself then.
    """
    inference = document.get("inferenceConfig") or {}
    told = thoughts(reasoning, traits_of(model), has_limit="maxTokens" in inference)
    if not told.fields:
        return Edits()
    own = document.get("additionalModelRequestFields") or {}
    replaced: dict[str, Any] = {"additionalModelRequestFields": {**own, **told.fields}}
    lost = [name for name in _DRAWN if name in inference and told.draws_by_itself]
    if lost:
        kept = {name: value for name, value in inference.items() if name not in lost}
        replaced["inferenceConfig"] = kept
    return Edits(replaced, lost=tuple(_DRAWN[name] for name in lost))


def lead(document: Mapping[str, Any], words: str, before_own: bool) -> dict[str, Any]:
    """A system prompt, where there is none or before the client's own."""
    own = document.get("system") or []
    return {} if own and not before_own else {"system": [{"text": words}, *own]}
