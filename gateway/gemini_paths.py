"""Addresses of Gemini's API, which name the model and what is asked of it.

Source: https://ai.google.dev/api/generate-content
"""

from typing import NamedTuple

from gateway.errors import InvalidRequest

_PREFIXES = ("/v1beta/models/", "/v1/models/", "/v1beta1/models/")
_ACTIONS = frozenset({"generateContent", "streamGenerateContent", "countTokens"})
OPENAI_PREFIX = "/v1beta/openai/"
"""Below it Google answers in OpenAI's dialect."""


class ModelAction(NamedTuple):
    """What is asked of which model."""

    model: str
    action: str


def model_action(path: str) -> ModelAction | None:
    """`/v1beta/models/{model}:{action}`; the model may hold slashes and colons. None: another."""
    prefix = next((each for each in _PREFIXES if path.startswith(each)), None)
    if prefix is None:
        return None
    model, colon, action = path.removeprefix(prefix).rpartition(":")
    return ModelAction(model, action) if colon and model and action in _ACTIONS else None


def require_events(query: bytes) -> None:
    """Streams are told as server-sent events alone. Raises InvalidRequest."""
    if b"alt=sse" not in query.split(b"&"):
        raise InvalidRequest(
            "Streams are served as server-sent events: add '?alt=sse' to the address.",
            param="alt",
            code="unsupported_parameter",
        )
