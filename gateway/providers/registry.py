"""The list of providers: a new vendor is one file beside this one, and one line here; or one row of
`compatible.py`, where only its address differs.
"""

from collections.abc import Mapping

from gateway.providers.anthropic import Anthropic
from gateway.providers.azure import Azure
from gateway.providers.bedrock import Bedrock
from gateway.providers.compatible import VENDORS
from gateway.providers.contract import Provider
from gateway.providers.custom import Custom
from gateway.providers.echo import Echo
from gateway.providers.gemini import Gemini
from gateway.providers.openai import OpenAI
from gateway.providers.openai_responses import OpenAIResponses
from gateway.providers.vertex import Vertex

_LISTED: tuple[Provider, ...] = (
    Echo(),
    OpenAI(),
    OpenAIResponses(),
    Anthropic(),
    Gemini(),
    Azure(),
    Bedrock(),
    Vertex(),
    *VENDORS,
    Custom(),
)
PROVIDERS: Mapping[str, Provider] = {provider.name: provider for provider in _LISTED}
