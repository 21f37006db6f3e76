"""The list of providers: a new vendor is one file beside this one, and one line here."""

from collections.abc import Mapping

from gateway.providers.anthropic import Anthropic
from gateway.providers.contract import Provider
from gateway.providers.echo import Echo
from gateway.providers.gemini import Gemini
from gateway.providers.openai import OpenAI
from gateway.providers.openai_responses import OpenAIResponses

_LISTED: tuple[Provider, ...] = (
    Echo(),
    OpenAI(),
    OpenAIResponses(),
    Anthropic(),
    Gemini(),
)
PROVIDERS: Mapping[str, Provider] = {provider.name: provider for provider in _LISTED}
