"""The wire formats there are, by name."""

from collections.abc import Mapping

from gateway.formats.contract import Format
from gateway.formats.openai_chat.format import OpenAIChat

FORMATS: Mapping[str, Format] = {one.name: one for one in (OpenAIChat(),)}
