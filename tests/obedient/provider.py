"""Providers of the four formats on one port, each with the same obedient model behind it."""

import base64
import json
from dataclasses import dataclass, field
from typing import Final

from tests.fake_provider import FakeProvider, Script, event_chunk, opened, whole
from tests.obedient import model
from tests.obedient.anthropic_messages import AnthropicMessages
from tests.obedient.contract import Asked, IllFormed, Said, ServedFormat
from tests.obedient.gemini import Gemini
from tests.obedient.openai_chat import OpenAIChat, ThinkingChat
from tests.obedient.openai_responses import OpenAIResponses

PICTURE_PATH = "/pictures/a.png"
PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5E"
    "rkJggg=="
)

FORMATS: Final[dict[str, ServedFormat]] = {
    "openai_chat": OpenAIChat(),
    "openai_responses": OpenAIResponses(),
    "anthropic_messages": AnthropicMessages(),
    "gemini": Gemini(),
}
THINKING_CHAT: Final = "thinking_chat"
_SERVED: Final[dict[str, ServedFormat]] = {**FORMATS, THINKING_CHAT: ThinkingChat()}


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request that was understood, and what the model said."""

    format_name: str
    asked: Asked
    said: Said


@dataclass
class ObedientProvider(FakeProvider):
    """The first part of a path names the format. What is ill-formed is refused, and kept.

    A picture lies there as well, at `PICTURE_PATH`.
    """

    exchanges: list[Exchange] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def named(self, path: str, body: bytes) -> Script:
        if path == PICTURE_PATH:
            return whole(base64.b64decode(PNG), headers={"content-type": "image/png"})
        name = path.split("/")[1]
        served = _SERVED[name]
        number = len(self.exchanges) + len(self.refused)
        try:
            asked = served.read(path.removeprefix(f"/{name}"), json.loads(body))
        except (IllFormed, KeyError, TypeError, ValueError) as error:
            self.refused.append(f"{name}: {error!r}: {body.decode()[:4_000]}")
            return whole(served.failure(400, str(error)), status=400)
        said = model.answer(asked, number)
        self.exchanges.append(Exchange(name, asked, said))
        if not asked.is_stream:
            return whole(served.whole(said))
        return (opened(), *map(event_chunk, served.events(said)), b"0\r\n\r\n")
