"""The formats there are, by name."""

from collections.abc import Mapping

from gateway.formats.anthropic_messages.format import AnthropicMessages
from gateway.formats.bedrock_converse.format import BedrockConverse
from gateway.formats.contract import Format, ProviderFormat
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
_FOR_PROVIDERS_ALONE: tuple[ProviderFormat, ...] = (BedrockConverse(),)

FORMATS: Mapping[str, Format] = {one.name: one for one in _LISTED}
"""In which clients ask."""

PROVIDER_FORMATS: Mapping[str, ProviderFormat] = {
    one.name: one for one in (*_LISTED, *_FOR_PROVIDERS_ALONE)
}
"""In which providers are asked."""
