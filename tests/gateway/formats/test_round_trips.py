"""From one format by way of another and back: what comes back is what was said, and what is not is
named in the losses or refused. Generated conversations, every pair of formats.
"""

import json
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.conversation.parts import (
    Address,
    CacheMark,
    Inline,
    Media,
    Part,
    PlainDocument,
    Source,
    Stored,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from gateway.conversation.request import (
    Conversation,
    FunctionTool,
    Message,
    OutputFormat,
    Reasoning,
    Sampling,
    ToolChoice,
)
from gateway.errors import InvalidRequest
from gateway.formats.contract import Format
from gateway.formats.registry import FORMATS, PROVIDER_FORMATS
from gateway.formats.translator import written_for
from gateway.media.addressed import takes_nothing, with_bytes
from tests.gateway.formats.converse_requests import complaint, conversation_of

FORMAT_NAMES = ("openai_chat", "openai_responses", "anthropic_messages", "gemini")
CONVERSE = "bedrock_converse"
OF_PROVIDERS = (*FORMAT_NAMES, CONVERSE)
MODELS = {
    "openai_chat": "gpt-4o",
    "openai_responses": "gpt-4o",
    "anthropic_messages": "claude-opus-4-6",
    "gemini": "gemini-2.5-pro",
    CONVERSE: "us.amazon.nova-2-lite-v1:0",
}
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
PDF = "JVBERi0xLjQKJQ=="
FETCHED = {"https://x.invalid/a.png": Inline(media_type="image/png", data=PNG)}
"""What lies at the addresses that are named here, for a format that knows none."""

# ---------------------------------------------------------------------- what is said

WORDS = st.text(alphabet="abc äß", min_size=1, max_size=12).map(str.strip).filter(bool)
MARKS = st.sampled_from([None, None, CacheMark(), CacheMark(ttl="1h")])
TEXTS = st.builds(lambda text, cache: Text(text=text, cache=cache), WORDS, MARKS)
IMAGES = st.builds(
    lambda source, detail: Media(kind="image", source=source, detail=detail),
    st.sampled_from(
        [Inline(media_type="image/png", data=PNG), Address(url="https://x.invalid/a.png")]
    ),
    st.sampled_from(["", "low", "high"]),
)
DOCUMENTS = st.one_of(
    st.builds(lambda text, title: PlainDocument(text=text, title=title), WORDS, WORDS),
    st.builds(
        lambda title: Media(
            kind="document", source=Inline(media_type="application/pdf", data=PDF), title=title
        ),
        WORDS,
    ),
)
SHOWN = st.lists(st.one_of(TEXTS, TEXTS, IMAGES, DOCUMENTS), min_size=1, max_size=3)
THOUGHTS = st.builds(
    lambda text, signer: Thinking(text=text, signature="c2ln", signed_by=signer),
    WORDS,
    st.sampled_from(["anthropic_messages", "gemini"]),
)
ARGUMENTS = st.dictionaries(st.sampled_from("abc"), st.one_of(st.integers(0, 9), WORDS), max_size=2)


@st.composite
def messages(draw: st.DrawFn) -> tuple[Message, ...]:
    told = [Message(role="system", parts=(Text(text=draw(WORDS)),))] if draw(st.booleans()) else []
    results: list[Part] = []
    calls = 0
    for _ in range(draw(st.integers(1, 3))):
        told.append(Message(role="user", parts=(*results, *draw(SHOWN))))
        said: list[Part] = [
            *draw(st.lists(THOUGHTS, max_size=1)),
            *draw(st.lists(TEXTS, max_size=2)),
        ]
        results = []
        for arguments in draw(st.lists(ARGUMENTS, max_size=2)):
            calls += 1
            call_id = f"call_{calls}a"
            said.append(ToolCall(id=call_id, name="f", arguments=json.dumps(arguments)))
            content = tuple(draw(st.lists(st.one_of(TEXTS, IMAGES), max_size=2)))
            is_error = draw(st.booleans())
            results.append(
                ToolResult(call_id=call_id, name="f", content=content, is_error=is_error)
            )
        told.append(Message(role="assistant", parts=tuple(said) or (Text(text="so"),)))
    told.append(Message(role="user", parts=(*results, Text(text="go on"))))
    return tuple(told)


SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}
TOOLS = st.builds(
    lambda description, strict: (
        FunctionTool(name="f", description=description, parameters=SCHEMA, is_strict=strict),
        FunctionTool(name="g", parameters=SCHEMA),
    ),
    WORDS,
    st.sampled_from([None, True]),
)
SAMPLING = st.builds(
    Sampling,
    temperature=st.sampled_from([None, 0.5, 1.0]),
    top_p=st.sampled_from([None, 0.5]),
    top_k=st.sampled_from([None, 5]),
    seed=st.sampled_from([None, 7]),
    frequency_penalty=st.sampled_from([None, 0.5]),
    presence_penalty=st.sampled_from([None, 0.5]),
    stop=st.sampled_from([(), ("stop",)]),
)
CONVERSATIONS = st.builds(
    Conversation,
    format=st.just(""),
    messages=messages(),
    is_stream=st.just(False),
    max_output_tokens=st.sampled_from([None, 9_000]),
    choices=st.sampled_from([1, 1, 1, 2]),
    tools=TOOLS,
    tool_choice=st.sampled_from(
        [None, ToolChoice(), ToolChoice(mode="required"), ToolChoice(mode="required", names=("f",))]
    ),
    parallel_tool_calls=st.sampled_from([None, False]),
    sampling=SAMPLING,
    reasoning=st.sampled_from([None, Reasoning(effort="high"), Reasoning(is_on=False)]),
    output=st.sampled_from(
        [None, OutputFormat(kind="json"), OutputFormat(kind="schema", schema=SCHEMA, name="out")]
    ),
    verbosity=st.sampled_from(["", "low"]),
    service=st.sampled_from(["", "flex"]),
    user=st.sampled_from(["", "u1"]),
    metadata=st.sampled_from([None, {"k": "v"}]),
    is_stored=st.sampled_from([None, True]),
    prompt_cache_key=st.sampled_from(["", "key"]),
)

# ---------------------------------------------------------------------- what comes back


def reread(format_name: Format, conversation: Conversation) -> tuple[Conversation, tuple[str, ...]]:
    """Written in a format and read again; and what was lost on the way."""
    written = written_for(format_name, conversation, MODELS[format_name.name])
    body = msgspec.json.encode(written.document)
    call = format_name.read_request(json.loads(body), body)
    return format_name.translation.conversation(call), written.losses


def reread_by_provider(
    format_name: str, conversation: Conversation
) -> tuple[Conversation, tuple[str, ...]]:
    """As `reread`, for the formats in which providers alone are asked, too."""
    if format_name != CONVERSE:
        return reread(FORMATS[format_name], conversation)
    filled = with_bytes(conversation, FETCHED, takes_nothing)
    written = written_for(PROVIDER_FORMATS[format_name], filled, MODELS[format_name])
    document = json.loads(msgspec.json.encode(written.document))
    assert complaint(document) == ""
    return conversation_of(document), written.losses


def told_in(
    format_name: str, conversation: Conversation
) -> tuple[Conversation, tuple[str, ...]] | None:
    """As `reread`; None where the format has no words for it, and says so."""
    try:
        return reread_by_provider(format_name, conversation)
    except InvalidRequest as refusal:
        if refusal.code != "not_expressible":
            raise
        return None


def parts_of(conversation: Conversation, role: str) -> list[Part]:
    wanted = {"system": ("system", "developer")}.get(role, (role,))
    return [part for each in conversation.messages if each.role in wanted for part in each.parts]


def words_of(parts: list[Part]) -> list[str]:
    """The words of texts and plain documents; those of a title stand before its document."""
    return [part.text for part in parts if isinstance(part, Text | PlainDocument)]


def everything(conversation: Conversation) -> list[Part]:
    """All parts, those within results of tools too."""
    parts = [part for message in conversation.messages for part in message.parts]
    within = [each for part in parts if isinstance(part, ToolResult) for each in part.content]
    return [*parts, *within]


def media_of(conversation: Conversation) -> list[tuple[str, str]]:
    """What is shown: its kind, and its bytes or its address. The order may change: results of
    tools that cannot show anything have it shown after them.
    """
    shown = [part for part in everything(conversation) if isinstance(part, Media)]
    return sorted((each.kind, address_of(each.source)) for each in shown)


def address_of(source: Source) -> str:
    match source:
        case Inline(data=data):
            return data
        case Address(url=url):
            return url
        case Stored(file_id=file_id):
            return file_id


def calls_of(conversation: Conversation) -> list[tuple[str, str, Any]]:
    calls = [part for part in everything(conversation) if isinstance(part, ToolCall)]
    return [(call.id, call.name, json.loads(call.arguments)) for call in calls]


def results_of(conversation: Conversation) -> dict[str, str]:
    """The words of every result, by its call."""
    results = [part for part in everything(conversation) if isinstance(part, ToolResult)]
    return {each.call_id: "\n".join(words_of(list(each.content))) for each in results}


def features(conversation: Conversation) -> Mapping[str, Any]:
    """What must come back the same, by the name under which it is told as lost."""
    sampling = conversation.sampling
    every = everything(conversation)
    reasoning, output = conversation.reasoning, conversation.output
    results = [part for part in every if isinstance(part, ToolResult)]
    return {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "seed": sampling.seed,
        "frequency_penalty": sampling.frequency_penalty,
        "presence_penalty": sampling.presence_penalty,
        "choices": conversation.choices,
        "max_tokens": conversation.max_output_tokens,
        "tools": [(each.name, each.description, each.parameters) for each in conversation.tools
                  if isinstance(each, FunctionTool)],
        "tools.strict": [bool(each.is_strict) for each in conversation.tools
                         if isinstance(each, FunctionTool)],
        "tool_choice": conversation.tool_choice or ToolChoice(),
        "parallel_tool_calls": conversation.parallel_tool_calls is False,
        "response_format": output and (output.kind, output.schema),
        "verbosity": conversation.verbosity,
        "service_tier": conversation.service,
        "user": conversation.user,
        "metadata": conversation.metadata,
        "store": bool(conversation.is_stored),
        "prompt_cache_key": conversation.prompt_cache_key,
        "reasoning": reasoning is not None and reasoning.is_on is not False
                     and bool(reasoning.is_on or reasoning.effort or reasoning.budget_tokens),
        "cache_control": any(getattr(part, "cache", None) for part in every),
        "image.detail": sorted(part.detail for part in every if isinstance(part, Media)),
        "tool_result.is_error": any(result.is_error for result in results),
        "thinking": [(part.text, part.signature) for part in every if isinstance(part, Thinking)],
    }  # fmt: skip


@pytest.mark.parametrize("through", OF_PROVIDERS)
@pytest.mark.parametrize("client", FORMAT_NAMES)
def test_what_does_not_come_back_was_told(client: str, through: str) -> None:
    @settings(max_examples=40)
    @given(CONVERSATIONS)
    def check(generated: Conversation) -> None:
        said = told_in(client, generated)
        passed = told_in(through, said[0]) if said else None
        if said is None or passed is None:
            return
        conversation, losses = said[0], passed[1]
        if through == CONVERSE:
            conversation = with_bytes(conversation, FETCHED, takes_nothing)
        back, lost_on_the_way_back = reread(FORMATS[client], passed[0])
        before, after = features(conversation), features(back)
        changed = {name for name in before if before[name] and before[name] != after[name]}
        told_lost = {*losses, *lost_on_the_way_back}
        assert changed <= told_lost, (changed - told_lost, losses)
        assert media_of(back) == media_of(conversation)
        assert calls_of(back) == calls_of(conversation)
        for role in ("system", "user", "assistant"):
            told = "\n".join(words_of(parts_of(back, role)))
            at = 0
            for words in words_of(parts_of(conversation, role)):
                at = told.find(words, at)
                assert at >= 0, (role, words)
                at += len(words)
        results = results_of(back)
        for call_id, words in results_of(conversation).items():
            assert words in results[call_id]

    check()
