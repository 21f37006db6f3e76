"""The wire formats there are, by name."""

from collections.abc import Mapping

from gateway.formats.anthropic_messages.format import AnthropicMessages
from gateway.formats.contract import Format
from gateway.formats.gemini.format import Gemini
from gateway.formats.openai_chat.format import OpenAIChat
from gateway.formats.openai_completions.format import OpenAICompletions
from gateway.formats.openai_responses.format import OpenAIResponses

_LISTED: tuple[Format, ...] = (
    OpenAIChat(),
    OpenAIResponses(),
    OpenAICompletions(),
    AnthropicMessages(),
    Gemini(),
)
FORMATS: Mapping[str, Format] = {one.name: one for one in _LISTED}
