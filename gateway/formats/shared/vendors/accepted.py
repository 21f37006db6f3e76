"""What vendors and their models take: one table, used by every translation of a request.

A row adds to the rows before it, where its vendors, formats and models are all met. A request is
refused as a whole for one word too many, so what is not taken is changed or left out by
`gateway.formats.shared.vendors.fitting`, and named as lost.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

CHAT, RESPONSES, MESSAGES = "openai_chat", "openai_responses", "anthropic_messages"
GEMINI, CONVERSE, COMPLETIONS = "gemini", "bedrock_converse", "openai_completions"
OPENAI = ("openai", "openai_responses", "azure")
"""Types of channels behind which OpenAI's own rules hold."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """What is taken. `tool_name`: what the whole name of a tool must match. Lengths are in
    characters; None: not bounded. `refused`: members of a conversation that are not known.
    """

    format_name: str = ""
    tool_name: re.Pattern[str] | None = None
    call_id_most: int | None = None
    user_most: int | None = None
    has_custom_tools: bool = False
    has_namespaces: bool = False
    """Whether tools may share a name in namespaces of their own."""
    has_call_ids: bool = True
    """Whether calls and results bear ids; without, they belong together by name and order."""
    signs_calls: bool = False
    """Whether the first of calls side by side must bear a signature."""
    shows_results: bool = True
    """Whether a tool's result may hold images; else they are shown after it."""
    budget_range: tuple[int, int] | None = None
    """The least and the most to think, in tokens, for models that are told in tokens."""
    can_rest: bool = True
    """Whether not to think at all may be asked for."""
    reasons_beside_tools: bool = True
    """Whether a model with tools may reason in this format; otherwise it does in Responses."""
    reasons_unasked: bool = True
    """Whether a model reasons where no effort is told."""
    wants_thoughts: bool = False
    """Whether a turn's thoughts are sent back as words, whoever signed them."""
    needs_thoughts: bool = False
    """Whether a turn with calls is refused without any."""
    has_billing_line: bool = False
    """Whether claude-code's first line of the system prompt is read."""
    has_web_search: bool = True
    reasons: bool = True
    stops_most: int | None = None
    needs_properties: bool = False
    """Whether the schema of an object must name its properties, though it has none."""
    has_schema_subset: bool = False
    """Whether schemas that are enforced are of the subset that `schema_subset` writes."""
    output_tokens_least: int = 0
    refused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """`source`: where the vendor says so. Empty vendors, formats, models: whichever."""

    source: str
    takes: Mapping[str, Any]
    formats: tuple[str, ...] = ()
    vendors: tuple[str, ...] = ()
    models: str = ""


_NAME_64 = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_NAME_128 = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_NAME_OF_GOOGLE = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}")

_OF_OPENAI = "https://platform.openai.com/docs/"
_OF_GOOGLE = "https://ai.google.dev/"
_OF_CLAUDE = "https://platform.claude.com/docs/en/"

ROWS = (
    # ------------------------------------------------------------------ tools and their calls
    Row(
        _OF_OPENAI + "api-reference/chat/create#chat-create-tools",
        {"tool_name": _NAME_64},
        formats=(CHAT, RESPONSES),
    ),
    Row(
        _OF_CLAUDE + "agents-and-tools/tool-use/implement-tool-use",
        {"tool_name": _NAME_128},
        formats=(MESSAGES,),
    ),
    Row(
        _OF_GOOGLE + "api/caching#FunctionDeclaration",
        {"tool_name": _NAME_OF_GOOGLE},
        formats=(GEMINI,),
    ),
    Row(
        "https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolSpecification.html",
        {"tool_name": _NAME_64},
        formats=(CONVERSE,),
    ),
    Row(
        "https://community.openai.com/t/object-schema-missing-properties/1088171",
        {"needs_properties": True},
        formats=(CHAT, RESPONSES),
    ),
    Row(
        _OF_CLAUDE + "build-with-claude/structured-outputs#json-schema-limitations",
        {"has_schema_subset": True},
        (MESSAGES, CONVERSE),
        models=r".*claude-",
    ),
    Row("https://github.com/AnswerDotAI/fastllm/issues/45", {"call_id_most": 64}, (RESPONSES,)),
    Row("https://github.com/microsoft/autogen/issues/6377", {"call_id_most": 64}, (CHAT,)),
    Row("https://github.com/vercel/ai/issues/8132", {"call_id_most": 40}, (CHAT,), OPENAI),
    Row(
        _OF_OPENAI + "guides/tools-tool-search",
        {"has_namespaces": True},
        formats=(RESPONSES,),
    ),
    Row(
        _OF_OPENAI + "guides/function-calling#custom-tools",
        {"has_custom_tools": True},
        (CHAT, RESPONSES),
        vendors=("", *OPENAI, "new_api", "custom"),
        models=r"gpt-(?:[5-9]|\d\d)(?!.*-chat)|codex",
    ),
    Row(
        "https://cloud.google.com/vertex-ai/generative-ai/docs/reference/rest/v1/Content#FunctionCall",
        {"has_call_ids": False},
        (GEMINI,),
        ("vertex",),
    ),
    Row(
        _OF_GOOGLE + "gemini-api/docs/thought-signatures (from Gemini 3 on)",
        {"signs_calls": True},
        (GEMINI,),
        models=r"gemini-(?:[3-9]|\d\d)",
    ),
    Row(
        _OF_GOOGLE + "gemini-api/docs/function-calling#multimodal (from Gemini 3 on)",
        {"shows_results": False},
        (GEMINI,),
        models=r"gemini-(?:1|2)",
    ),
    # ------------------------------------------------------------------ searching and thinking
    Row(
        "https://github.com/openai/openai-openapi/issues/541; "
        "https://github.com/danny-avila/LibreChat/issues/14355",
        {"reasons_beside_tools": False},
        (CHAT,),
        ("openai", "azure"),
        models=r"gpt-(?:5\.[4-9]|[6-9])",
    ),
    Row(
        "https://github.com/openai/openai-openapi/issues/541 (refused beside an effort alone)",
        {"reasons_unasked": False},
        (CHAT,),
        models=r"gpt-5\.4",
    ),
    Row(
        _OF_GOOGLE + "gemini-api/docs/thinking#set-budget",
        {"budget_range": (0, 24_576)},
        (GEMINI,),
        models=r"gemini-2\.5-flash|gemini-robotics",
    ),
    Row(
        _OF_GOOGLE + "gemini-api/docs/thinking#set-budget",
        {"budget_range": (512, 24_576)},
        (GEMINI,),
        models=r"gemini-2\.5-flash-lite",
    ),
    Row(
        _OF_GOOGLE + "gemini-api/docs/thinking#set-budget",
        {"budget_range": (128, 32_768), "can_rest": False},
        (GEMINI,),
        models=r"gemini-2\.5-pro",
    ),
    Row(
        _OF_GOOGLE + "gemini-api/docs/thinking#thinking-levels (Gemini 3 Pro)",
        {"can_rest": False},
        (GEMINI,),
        models=r"gemini-(?:[3-9]|\d\d)(?:\.\d+)?-pro",
    ),
    Row(
        _OF_OPENAI + "guides/tools-web-search#chat-completions",
        {"has_web_search": False},
        formats=(CHAT,),
    ),
    Row(
        _OF_OPENAI + "guides/tools-web-search#chat-completions",
        {"has_web_search": True},
        (CHAT,),
        models=r".*search-(?:preview|api)",
    ),
    Row(
        "https://openrouter.ai/docs/features/web-search; https://docs.perplexity.ai/api-reference",
        {"has_web_search": True},
        (CHAT,),
        vendors=("openrouter", "perplexity"),
    ),
    Row(
        _OF_OPENAI + "models/compare",
        {"reasons": False},
        (CHAT, RESPONSES),
        models=r"gpt-[34]|chatgpt|gpt-[5-9].*-chat",
    ),
    Row(
        "https://api-docs.deepseek.com/guides/thinking_mode#tool-calls",
        {"wants_thoughts": True, "needs_thoughts": True},
        (CHAT, MESSAGES),
        models=r"(?i)deepseek",
    ),
    Row(
        "https://github.com/continuedev/continue/issues/11600 (Kimi, its thinking models)",
        {"wants_thoughts": True, "needs_thoughts": True},
        (CHAT, MESSAGES),
        models=r"(?i)kimi-(?:k2-thinking|k2\.[5-9]|k[3-9]|for-coding)",
    ),
    Row(
        "https://docs.z.ai/guides/capabilities/thinking-mode; "
        "https://platform.minimax.io/docs/guides/text-m2-function-call",
        {"wants_thoughts": True, "needs_thoughts": True},
        (CHAT, MESSAGES),
        models=r"(?i)glm-(?:4\.[5-9]|[5-9])|minimax-m[2-9]",
    ),
    Row(
        "https://docs.qwencloud.com/developer-guides/text-generation/thinking"
        "#function-calling-with-thinking-mode (asked for, and nothing is refused without)",
        {"wants_thoughts": True},
        (CHAT,),
        models=r"(?i)qwen-?[3-9]|qwen-(?:max|plus|flash|turbo)|qwq|qvq",
    ),
    Row(
        "https://github.com/AstrBotDevs/AstrBot/issues/5946 (whosever model it serves)",
        {"wants_thoughts": False, "needs_thoughts": False},
        (CHAT,),
        vendors=("groq",),
    ),
    Row(
        _OF_GOOGLE + "gemini-api/docs/thinking (before 2.5 there is none)",
        {"reasons": False},
        (GEMINI,),
        models=r"gemini-(?:1|2\.0)",
    ),
    # ------------------------------------------------------------------ members and lengths
    Row(
        "https://github.com/anthropics/claude-code/issues/68900",
        {"has_billing_line": True},
        (MESSAGES,),
        ("", "anthropic", "new_api"),
    ),
    Row(
        _OF_OPENAI + "api-reference/responses/create#responses-create-safety_identifier",
        {"user_most": 64},
        formats=(CHAT, RESPONSES, COMPLETIONS),
    ),
    Row(
        _OF_OPENAI + "api-reference/responses/create#responses-create-max_output_tokens",
        {"output_tokens_least": 16},
        formats=(RESPONSES,),
    ),
    Row(
        "https://github.com/experientiallabs/experiential/pull/538",
        {"output_tokens_least": 16},
        (CHAT,),
        models=r"o\d|gpt-(?:[5-9]|\d\d)|codex",
    ),
    Row(
        _OF_OPENAI + "api-reference/chat/create#chat-create-stop",
        {"stops_most": 4},
        formats=(CHAT, COMPLETIONS),
    ),
    Row(
        _OF_OPENAI + "api-reference/chat/create#chat-create-stop",
        {"stops_most": 0},
        (CHAT,),
        models=r"o[1-9]|gpt-5(?!.*-chat)|codex",
    ),
    Row(_OF_OPENAI + "api-reference/responses/create", {"stops_most": 0}, formats=(RESPONSES,)),
    Row(_OF_GOOGLE + "api/generate-content#generationconfig", {"stops_most": 5}, (GEMINI,)),
    Row(
        "https://console.groq.com/docs/openai#currently-unsupported-openai-features",
        {"refused": ("prompt_cache_key", "verbosity", "logit_bias", "logprobs", "metadata")},
        vendors=("groq",),
    ),
    Row(
        "https://docs.mistral.ai/api/#tag/chat (members that it does not name are forbidden)",
        {
            "refused": (
                "prompt_cache_key", "verbosity", "logit_bias", "logprobs", "metadata", "store",
                "user", "service",
            )
        },
        vendors=("mistral",),
    ),
)  # fmt: skip


@lru_cache(maxsize=10_000)
def accepted(vendor: str, format_name: str, model: str) -> Accepted:
    """What a vendor (the type of a channel; empty: nobody knows) takes in a format for a model.

    >>> accepted("openai", "openai_chat", "gpt-4o").stops_most
    4
    """
    own_name = model.rpartition("/")[2]
    takes = Accepted(format_name=format_name)
    for row in ROWS:
        if _is_met(row, vendor, format_name, own_name):
            takes = replace(takes, **row.takes)
    return takes


def _is_met(row: Row, vendor: str, format_name: str, model: str) -> bool:
    if row.formats and format_name not in row.formats:
        return False
    if row.vendors and vendor not in row.vendors:
        return False
    return not row.models or re.match(row.models, model) is not None
