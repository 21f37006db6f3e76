"""What a conversation asks for besides its messages and tools, in the words of a Converse request.

Source: InferenceConfiguration, OutputConfig, ServiceTier and requestMetadata of
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
"""

import re
from typing import Any

import msgspec

from gateway.conversation.request import Conversation, OutputFormat, Sampling
from gateway.formats.bedrock_converse.models import Traits
from gateway.formats.bedrock_converse.requests.thinking import thoughts

_TEMPERATURE_MOST = 1.0
_SERVICES = {"standard": "default", "flex": "flex", "priority": "priority"}
_METADATA_MOST = 16
_LABEL = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,.-]{1,256}")
_OF_SINGLE_MODELS = ("top_k", "seed", "frequency_penalty", "presence_penalty")


def written_options(conversation: Conversation, traits: Traits) -> tuple[dict[str, Any], list[str]]:
    """The members, and what was lost."""
    losses: list[str] = []
    limit = conversation.max_output_tokens
    thinking = thoughts(conversation.reasoning, traits, has_limit=limit is not None)
    losses += thinking.losses
    inference = _drawn(conversation.sampling, thinking.draws_by_itself, losses)
    if limit is not None:
        inference["maxTokens"] = limit
    more = thinking.fields | _more(conversation.sampling, traits, losses)
    document: dict[str, Any] = {
        "inferenceConfig": inference,
        "additionalModelRequestFields": more,
        "outputConfig": _output(conversation.output, traits, losses),
        "serviceTier": _service(conversation.service, losses),
        "requestMetadata": _metadata(conversation.metadata, losses),
    }
    losses += _lost(conversation)
    return {name: value for name, value in document.items() if value}, losses


def _drawn(sampling: Sampling, is_forbidden: bool, losses: list[str]) -> dict[str, Any]:
    """How tokens are drawn, within what the format takes."""
    drawn: dict[str, Any] = {}
    for name, told_as in (("temperature", "temperature"), ("top_p", "topP")):
        value = getattr(sampling, name)
        if value is None:
            continue
        if not is_forbidden:
            drawn[told_as] = min(value, _TEMPERATURE_MOST)
        if drawn.get(told_as) != value:
            losses.append(name)
    stops = [stop for stop in sampling.stop if stop]
    if stops:
        drawn["stopSequences"] = stops
    return drawn


def _more(sampling: Sampling, traits: Traits, losses: list[str]) -> dict[str, Any]:
    """What only single models know, among their own fields."""
    told: dict[str, Any] = {}
    for name in _OF_SINGLE_MODELS:
        value = getattr(sampling, name)
        if value is None or (value == 0 and name.endswith("_penalty")):
            continue
        if name not in traits.more:
            losses.append(name)
            continue
        *above, last = traits.more[name]
        holder = told
        for each in above:
            holder = holder.setdefault(each, {})
        holder[last] = value
    return told


def _output(output: OutputFormat | None, traits: Traits, losses: list[str]) -> dict[str, Any]:
    if output is None or output.kind == "text":
        return {}
    if output.kind != "schema" or not output.schema or not traits.has_structured_output:
        losses.append("response_format")
        return {}
    definition = {"schema": msgspec.json.encode(output.schema).decode()}
    definition |= {
        name: value for name in ("name", "description") if (value := getattr(output, name))
    }
    return {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": definition}}}


def _service(service: str, losses: list[str]) -> dict[str, str]:
    if service and service not in _SERVICES:
        losses.append("service_tier")
    return {"type": _SERVICES[service]} if service in _SERVICES else {}


def _metadata(metadata: dict[str, str] | None, losses: list[str]) -> dict[str, str]:
    """Labels for the operator's log of invocations; only some characters are taken."""
    told = metadata or {}
    kept = {
        name: value
        for name, value in told.items()
        if _LABEL.fullmatch(name) and (value == "" or _LABEL.fullmatch(value))
    }
    kept = dict(list(kept.items())[:_METADATA_MOST])
    if len(kept) < len(told):
        losses.append("metadata")
    return kept


def _lost(conversation: Conversation) -> list[str]:
    members = {
        "logit_bias": conversation.sampling.logit_bias,
        "logprobs": conversation.sampling.wants_logprobs,
        "verbosity": conversation.verbosity,
        "user": conversation.user,
        "store": conversation.is_stored,
        "prompt_cache_key": conversation.prompt_cache_key,
    }
    return [name for name, value in members.items() if value] + sorted(conversation.foreign)
