"""Addresses of Gemini's API, which name the model and what is asked of it.

Source: https://ai.google.dev/api/generate-content
"""

from typing import NamedTuple

from gateway.errors import InvalidRequest

MODELS = ("/v1/models/", "/v1beta/models/", "/v1beta1/models/")
_ACTIONS = frozenset({"generateContent", "streamGenerateContent", "countTokens"})
OPENAI_PREFIX = "/v1beta/openai/"
"""Below it Google answers in OpenAI's format."""


class ModelAction(NamedTuple):
    """What is asked of which model."""

    model: str
    action: str


def is_gemini(path: str) -> bool:
    """Whether a path is Google's, so that whoever calls it reads Google's words."""
    is_googles = path.startswith(("/v1beta/", "/v1beta1/")) and not path.startswith(OPENAI_PREFIX)
    return is_googles or model_action(path) is not None


def model_action(path: str) -> ModelAction | None:
    """`/v1beta/models/{model}:{action}`; the model may hold slashes and colons. None: another."""
    prefix = next((each for each in MODELS if path.startswith(each)), None)
    if prefix is None:
        return None
    model, colon, action = path.removeprefix(prefix).rpartition(":")
    return ModelAction(model, action) if colon and model and action in _ACTIONS else None


def unknown_action(path: str) -> str:
    """What is asked of a model at a Gemini address and is not offered; empty: nothing of that kind.

    A model's own name may hold colons too, so this says something of a POST alone.
    """
    prefix = next((each for each in MODELS if path.startswith(each)), None)
    if prefix is None or model_action(path) is not None:
        return ""
    model, colon, action = path.removeprefix(prefix).rpartition(":")
    return action if colon and model else ""


def wants_array(query: bytes) -> bool:
    """Whether a stream is told as one JSON array: so it is unless events were asked for.

    Raises InvalidRequest for other forms.
    """
    pairs = [pair.partition(b"=") for pair in query.split(b"&")]
    forms = {value for name, _, value in pairs if name in (b"alt", b"$alt", b"%24alt")}
    if forms == {b"sse"}:
        return False
    if forms - {b"json"}:
        raise InvalidRequest(
            "Streams are told as server-sent events ('alt=sse') or as a JSON array ('alt=json').",
            param="alt",
            code="unsupported_parameter",
        )
    return True
