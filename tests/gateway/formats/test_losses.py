"""The table of losses: everything a client can say in its format, and what of it a provider of
another is not told. Whoever changes a format changes this table with open eyes.
"""

import pytest

from gateway.conversation.parts import (
    CacheMark,
    Inline,
    Media,
    PlainDocument,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from gateway.conversation.request import (
    CodeExecution,
    Conversation,
    FunctionTool,
    Message,
    OutputFormat,
    Reasoning,
    Sampling,
    ToolChoice,
    WebSearch,
)
from gateway.formats.registry import FORMATS
from tests.gateway.formats.test_round_trips import (
    FORMAT_NAMES,
    OF_PROVIDERS,
    PNG,
    SCHEMA,
    reread,
    reread_by_provider,
)

PICTURE = Media(kind="image", source=Inline(media_type="image/png", data=PNG), detail="high")
DOCUMENT = PlainDocument(text="d", title="t", context="c", wants_citations=True)
CITATION = {"type": "url_citation", "url": "https://x.invalid", "title": "t"}
SAID_BY_THE_MODEL = (
    Thinking(text="h", signature="c2ln", signed_by="anthropic_messages"),
    Thinking(text="g", signature="c2ln", signed_by="gemini"),
    Text(text="a", citations=(CITATION,), citing="openai_responses"),
    ToolCall(id="call_1", name="f", arguments="{}"),
)
RESULT = ToolResult(call_id="call_1", name="f", content=(Text(text="r"), PICTURE), is_error=True)
EVERYTHING = Conversation(
    format="",
    messages=(
        Message(role="system", parts=(Text(text="s", cache=CacheMark()),)),
        Message(role="user", name="n", parts=(Text(text="u"), PICTURE, DOCUMENT)),
        Message(role="assistant", parts=SAID_BY_THE_MODEL),
        Message(role="user", parts=(RESULT, Text(text="go on"))),
    ),
    max_output_tokens=9_000,
    tools=(
        FunctionTool(name="f", parameters=SCHEMA, is_strict=True, cache=CacheMark()),
        WebSearch(country="FR", context_size="low", allowed_domains=("x.invalid",), uses_max=2),
        CodeExecution(),
    ),
    tool_choice=ToolChoice(names=("f",)),
    parallel_tool_calls=False,
    sampling=Sampling(
        temperature=0.5,
        top_p=0.5,
        top_k=3,
        seed=1,
        frequency_penalty=0.1,
        presence_penalty=0.1,
        stop=("x",),
        logit_bias={"1": 1.0},
        wants_logprobs=True,
        top_logprobs=2,
    ),
    reasoning=Reasoning(effort="high"),
    output=OutputFormat(kind="schema", schema=SCHEMA, name="o", is_strict=True),
    verbosity="low",
    service="flex",
    user="u",
    metadata={"k": "v"},
    is_stored=True,
    prompt_cache_key="k",
)
LOST = {
    ("openai_chat", "openai_responses"):
        "frequency_penalty logit_bias name presence_penalty seed",
    ("openai_chat", "anthropic_messages"):
        "frequency_penalty image.detail logit_bias logprobs messages.name metadata "
        "presence_penalty prompt_cache_key seed service_tier store top_p verbosity",
    ("openai_chat", "gemini"):
        "image.detail logit_bias metadata name parallel_tool_calls prompt_cache_key service_tier "
        "store tools.strict user verbosity",
    ("openai_responses", "openai_chat"):
        "citations tools.code_execution tools.web_search",
    ("openai_responses", "anthropic_messages"):
        "citations image.detail logprobs metadata prompt_cache_key service_tier store "
        "top_p verbosity",
    ("openai_responses", "gemini"):
        "citations image.detail metadata parallel_tool_calls prompt_cache_key service_tier store "
        "tools.strict tools.web_search.settings user verbosity",
    ("anthropic_messages", "openai_chat"):
        "cache_control document.citations document.context reasoning thinking tool_result.is_error",
    ("anthropic_messages", "openai_responses"):
        "cache_control document.citations document.context reasoning thinking "
        "tool_result.is_error",
    ("anthropic_messages", "gemini"):
        "cache_control document.citations document.context parallel_tool_calls thinking "
        "tools.strict user",
    ("gemini", "openai_chat"):
        "reasoning thinking tool_result.is_error tools.code_execution tools.web_search "
        "top_k",
    ("gemini", "openai_responses"):
        "frequency_penalty presence_penalty reasoning seed thinking tool_result.is_error top_k",
    ("gemini", "anthropic_messages"):
        "frequency_penalty logprobs presence_penalty reasoning.budget_tokens seed temperature "
        "thinking top_k top_p",
    ("openai_chat", "bedrock_converse"):
        "frequency_penalty image.detail logit_bias logprobs messages.name parallel_tool_calls "
        "presence_penalty prompt_cache_key response_format seed store tools.strict user verbosity",
    ("openai_responses", "bedrock_converse"):
        "citations image.detail logprobs parallel_tool_calls prompt_cache_key "
        "response_format store tools.strict user verbosity",
    ("anthropic_messages", "bedrock_converse"):
        "cache_control document.citations document.context parallel_tool_calls reasoning.effort "
        "response_format thinking tools.strict user",
    ("gemini", "bedrock_converse"):
        "frequency_penalty logprobs presence_penalty reasoning.budget_tokens response_format seed "
        "thinking",
}  # fmt: skip
"""By the formats of client and provider, for models that take no more than their format's least:
a `gpt-4o` does not reason, `claude-opus-4-6` draws without a share beside its temperature.
"""


@pytest.mark.parametrize("through", OF_PROVIDERS)
@pytest.mark.parametrize("client", FORMAT_NAMES)
def test_what_a_provider_is_not_told(client: str, through: str) -> None:
    said, _ = reread(FORMATS[client], EVERYTHING)
    _, losses = reread_by_provider(through, said)
    assert sorted(losses) == LOST.get((client, through), "").split()
