"""What a conversation asks for besides its messages, in the words of a Messages request."""

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.conversation.request import Conversation, OutputFormat, Reasoning
from gateway.formats.anthropic_messages.models import Traits
from gateway.formats.anthropic_messages.requests.writing_tools import written_tools
from gateway.formats.anthropic_messages.vocabulary import NAME

BUDGET_LEAST_TOKENS = 1_024
"""The least budget that the format takes."""
_BUDGETS = {"minimal": 1_280, "low": 1_280, "medium": 2_048, "high": 4_096}
_BUDGET_BEYOND_TOKENS = 4_096
"""For efforts above high, and those that no one has heard of."""
_BUDGET_TOKENS = 2_048
"""For thinking that is on, and no more is said."""
_TOP_P_WITH_THINKING_LEAST = 0.95
_TEMPERATURE_MOST = 1.0
_EFFORT_ORDER = ("minimal", "low", "medium", "high", "xhigh", "max")
_TIERS = {"standard": "standard_only", "priority": "auto"}


class OptionWriter:
    """Writes the options of one conversation for one model; `losses` names what it could not."""

    def __init__(
        self, conversation: Conversation, traits: Traits, messages: Sequence[Mapping[str, Any]]
    ) -> None:
        self._conversation = conversation
        self._traits = traits
        self._messages = messages
        self._is_own = conversation.format == NAME
        self._document: dict[str, Any] = {}
        self.losses: list[str] = []

    def written(self) -> dict[str, Any]:
        """Everything but the messages."""
        conversation, document = self._conversation, self._document
        limit = conversation.max_output_tokens
        document["max_tokens"] = self._traits.max_tokens if limit is None else limit
        if conversation.is_stream:
            document["stream"] = True
        tools, losses = written_tools(conversation, self._traits, self._messages)
        document |= tools
        self.losses += losses
        self._think(conversation.reasoning)
        self._draw()
        self._format(conversation.output)
        self._describe()
        self._name_what_is_lost()
        return document

    def _think(self, reasoning: Reasoning | None) -> None:
        if reasoning is None:
            return
        effort = reasoning.effort if reasoning.effort != "none" else ""
        is_on = reasoning.is_on
        if is_on is None and not self._is_own:  # elsewhere an effort means to think
            is_on = bool(effort or reasoning.budget_tokens) or None
        if effort and self._traits.efforts:
            self._document["output_config"] = {"effort": self._effort(effort)}
        elif effort and not is_on:
            self.losses.append("reasoning.effort")
        if is_on is False:
            self._rest()
        elif is_on and not self._may_think():
            self.losses.append("reasoning")
        elif is_on and self._traits.thinking == "adaptive":
            if reasoning.budget_tokens is not None:
                self.losses.append("reasoning.budget_tokens")
            self._document["thinking"] = {"type": "adaptive"} | _display(reasoning)
        elif is_on:
            self._budget(reasoning)

    def _rest(self) -> None:
        if self._traits.can_rest:
            self._document["thinking"] = {"type": "disabled"}
        elif self._traits.thinking != "never":
            self.losses.append("reasoning")

    def _may_think(self) -> bool:
        """Thinking excludes a forced tool, and needs the thoughts that led to a tool's call."""
        if self._traits.thinking == "never":
            return False
        if self._document.get("tool_choice", {}).get("type") in ("any", "tool"):
            return False
        return self._traits.thinking == "adaptive" or not _lacks_its_thoughts(self._messages)

    def _budget(self, reasoning: Reasoning) -> None:
        """A budget lies below the limit of the answer. Without a limit of the client's ours makes
        room for it; the client's own is never raised: it is what the client means to pay for.
        """
        wanted = reasoning.budget_tokens
        if wanted is None:
            wanted = _BUDGETS.get(reasoning.effort, _BUDGET_BEYOND_TOKENS)
            wanted = wanted if reasoning.effort else _BUDGET_TOKENS
        budget = max(wanted, BUDGET_LEAST_TOKENS)
        if self._conversation.max_output_tokens is None:
            self._document["max_tokens"] += budget
        elif budget >= self._conversation.max_output_tokens:
            budget = self._conversation.max_output_tokens - 1
        if budget < BUDGET_LEAST_TOKENS:
            self.losses.append("reasoning")
            return
        if reasoning.budget_tokens not in (None, budget):
            self.losses.append("reasoning.budget_tokens")
        self._document["thinking"] = {
            "type": "enabled",
            "budget_tokens": budget,
        } | _display(reasoning)

    def _effort(self, told: str) -> str:
        """The word itself, or the nearest that the model knows."""
        if told not in (*self._traits.efforts, "minimal"):
            self.losses.append("reasoning.effort")
        return nearest_effort(told, self._traits.efforts)

    def _draw(self) -> None:
        """How tokens are drawn: within what this format takes, and what goes with thinking."""
        sampling = self._conversation.sampling
        drawn: dict[str, float] = {}
        for name in ("temperature", "top_p", "top_k"):
            value = getattr(sampling, name)
            if value is None:
                continue
            if self._takes(name, value, drawn):
                drawn[name] = min(value, _TEMPERATURE_MOST) if name == "temperature" else value
            if drawn.get(name) != value:
                self.losses.append(name)
        self._document |= drawn
        stops = [stop for stop in sampling.stop if stop.strip()]
        if stops:
            self._document["stop_sequences"] = stops

    def _takes(self, name: str, value: float, drawn: Mapping[str, float]) -> bool:
        if not self._traits.takes_sampling:
            return False
        if name == "top_p" and "temperature" in drawn:
            return self._traits.takes_temperature_with_top_p
        if self._document.get("thinking", {}).get("type") not in ("enabled", "adaptive"):
            return True
        if name == "top_p":
            return value >= _TOP_P_WITH_THINKING_LEAST
        return name == "temperature" and value == 1

    def _format(self, output: OutputFormat | None) -> None:
        if output is None or output.kind == "text":
            return
        if output.kind == "schema" and output.schema and self._traits.has_structured_output:
            told = {"type": "json_schema", "schema": output.schema}
            self._document.setdefault("output_config", {})["format"] = told
        else:
            self.losses.append("response_format")

    def _describe(self) -> None:
        conversation = self._conversation
        metadata: dict[str, str] = {}
        if self._is_own:
            metadata |= conversation.metadata or {}
        elif conversation.metadata:
            self.losses.append("metadata")
        if conversation.user:
            metadata["user_id"] = conversation.user
        if metadata:
            self._document["metadata"] = metadata
        if conversation.service in _TIERS:
            self._document["service_tier"] = _TIERS[conversation.service]
        elif conversation.service:
            self.losses.append("service_tier")

    def _name_what_is_lost(self) -> None:
        conversation, sampling = self._conversation, self._conversation.sampling
        members = {
            "seed": sampling.seed is not None,
            "frequency_penalty": bool(sampling.frequency_penalty),
            "presence_penalty": bool(sampling.presence_penalty),
            "logit_bias": bool(sampling.logit_bias),
            "logprobs": sampling.wants_logprobs,
            "verbosity": bool(conversation.verbosity),
            "store": bool(conversation.is_stored),
            "prompt_cache_key": bool(conversation.prompt_cache_key),
        }
        self.losses += [name for name, is_set in members.items() if is_set]
        if not self._is_own:
            self.losses += sorted(conversation.foreign)
            return
        self._document |= {
            name: value for name, value in conversation.foreign.items() if "." not in name
        }
        self.losses += sorted(name for name in conversation.foreign if "." in name)


def nearest_effort(told: str, known: Sequence[str]) -> str:
    """The word itself, or of those that a model knows the nearest, below it where there is one."""
    if told in known:
        return told
    if told not in _EFFORT_ORDER:
        return "high"
    below = [one for one in known if _EFFORT_ORDER.index(one) < _EFFORT_ORDER.index(told)]
    return below[-1] if below else known[0]


def _display(reasoning: Reasoning) -> dict[str, str]:
    if reasoning.tells_thoughts is None:
        return {}
    return {"display": "summarized" if reasoning.tells_thoughts else "omitted"}


def _lacks_its_thoughts(messages: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the model is in the middle of using tools and we do not have what it thought: with a
    budget, a provider then refuses to let it go on thinking.
    """
    if len(messages) < 2 or messages[-1]["role"] != "user":
        return False
    results = any(block["type"] == "tool_result" for block in messages[-1]["content"])
    turn = messages[-2]["content"]
    begins = turn[0]["type"] if turn else ""
    return results and begins not in ("thinking", "redacted_thinking")
