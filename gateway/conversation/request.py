"""A request for the next turn of a conversation, in no format."""

from typing import Any, Literal

import msgspec

from gateway.conversation.parts import CacheMark, Part

Role = Literal["system", "developer", "user", "assistant"]
Effort = str
"""none, minimal, low, medium, high, xhigh, max: vendors add to them."""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message. Results of tools are parts of a user's message."""

    role: Role
    parts: tuple[Part, ...]
    name: str = ""


class FunctionTool(msgspec.Struct, frozen=True, kw_only=True):
    """A tool of the client's own. `parameters` is a JSON Schema; None: it takes none. Names are
    their own within a `namespace`.
    """

    name: str
    description: str = ""
    parameters: dict[str, Any] | None = None
    is_strict: bool | None = None
    cache: CacheMark | None = None
    namespace: str = ""


class CustomTool(msgspec.Struct, frozen=True, kw_only=True):
    """A tool that takes plain text; `grammar` constrains it: `type` (text, grammar), and then its
    `syntax` and `definition`.
    """

    name: str
    description: str = ""
    grammar: dict[str, Any] | None = None


class WebSearch(msgspec.Struct, frozen=True, kw_only=True):
    """The provider searches the web by itself. All that the formats have in common."""

    uses_max: int | None = None
    context_size: str = ""
    allowed_domains: tuple[str, ...] = ()
    blocked_domains: tuple[str, ...] = ()
    country: str = ""
    city: str = ""
    region: str = ""
    time_zone: str = ""


class CodeExecution(msgspec.Struct, frozen=True, kw_only=True):
    """The provider runs code by itself."""


class ForeignTool(msgspec.Struct, frozen=True, kw_only=True):
    """A tool that only `format_name` knows, as it came."""

    format: str
    kind: str
    value: dict[str, Any]


Tool = FunctionTool | CustomTool | WebSearch | CodeExecution | ForeignTool


class ToolChoice(msgspec.Struct, frozen=True, kw_only=True):
    """Which tools may or must be called. `names` narrows them; one name under `required` forces
    that tool.
    """

    mode: Literal["auto", "none", "required"] = "auto"
    names: tuple[str, ...] = ()


class Reasoning(msgspec.Struct, frozen=True, kw_only=True):
    """How much to think, as an effort or a budget, and whether the thoughts shall be told.

    `is_on` None: as the model does by itself.
    """

    is_on: bool | None = None
    effort: Effort = ""
    budget_tokens: int | None = None
    is_adaptive: bool = False
    tells_thoughts: bool | None = None


class OutputFormat(msgspec.Struct, frozen=True, kw_only=True):
    """`kind` json: any JSON object; schema: one that `schema` describes."""

    kind: Literal["text", "json", "schema"]
    schema: dict[str, Any] | None = None
    name: str = ""
    description: str = ""
    is_strict: bool | None = None


class Sampling(msgspec.Struct, frozen=True, kw_only=True):
    """How the next token is drawn, and where it ends. None: as the model does by itself."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    stop: tuple[str, ...] = ()
    logit_bias: dict[str, float] | None = None
    wants_logprobs: bool = False
    top_logprobs: int | None = None


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a request says. `foreign` are top-level members only `format_name` knows; they are
    dropped, and told as losses, where another format is written.
    """

    format: str
    messages: tuple[Message, ...]
    is_stream: bool = False
    max_output_tokens: int | None = None
    choices: int = 1
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    sampling: Sampling = Sampling()
    reasoning: Reasoning | None = None
    output: OutputFormat | None = None
    verbosity: str = ""
    modalities: tuple[str, ...] = ()
    service: str = ""
    """The format-free name of a service tier: flex, priority, standard; empty: not said."""
    user: str = ""
    metadata: dict[str, str] | None = None
    is_stored: bool | None = None
    prompt_cache_key: str = ""
    foreign: dict[str, Any] = {}


class AnswerTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What of a request its answer has to keep to: the tools by the client's own names and kinds,
    and the sequences at which it ends.
    """

    tools: tuple[Tool, ...] = ()
    stops: tuple[str, ...] = ()


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """A request in a format, and what of the conversation it could not say (parameter names)."""

    document: dict[str, Any]
    losses: tuple[str, ...] = ()
