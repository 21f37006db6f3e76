"""The list of providers: a new vendor is one file beside this one, and one line here."""

from collections.abc import Mapping

from gateway.providers.contract import Provider
from gateway.providers.echo import Echo
from gateway.providers.openai import OpenAI

PROVIDERS: Mapping[str, Provider] = {provider.name: provider for provider in (Echo(), OpenAI())}
