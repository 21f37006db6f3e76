"""Errors in OpenAI's envelope: ours to the client, and a provider's as told to us.

Source: https://platform.openai.com/docs/guides/error-codes; the SDKs read `x-should-retry`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from gateway.errors import GatewayError
from gateway.formats.shared import provider_failures
from gateway.formats.values import ServedModel
from gateway.http.lenient_json import UnreadableAnswer, read_value

_BODY_MAX_BYTES = 256 * 1024
_STATUS_BY_KIND = {
    "invalid_request_error": 400,
    "invalid_request": 400,
    "BadRequestError": 400,
    "not_found_error": 404,
    "NotFoundError": 404,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "requests": 429,
    "tokens": 429,
}
_UNKNOWN_FAILURE = 500


class ToldAsOpenAI:
    """The part of a `Format` that all of OpenAI's formats have in common."""

    def told_models(self, models: Sequence[ServedModel]) -> dict[str, object]:
        """The list of models: https://platform.openai.com/docs/api-reference/models."""
        return {"object": "list", "data": [self.told_model(model) for model in models]}

    def told_model(self, model: ServedModel) -> dict[str, object]:
        """One model."""
        return {
            "id": model.id,
            "object": "model",
            "created": model.created_s,
            "owned_by": "tollgate",
        }

    def error_body(
        self, error: GatewayError, request_id: str
    ) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        """Status, headers and body of an error."""
        return error_body(error, request_id)

    def stream_error(self, error: GatewayError) -> bytes:
        """The event that tells of an error inside a stream."""
        return stream_error(error)

    def classify_failure(
        self, status: int, headers: Mapping[str, str], body: bytes
    ) -> GatewayError:
        """What a provider's status other than 200 means to our client."""
        return classify_failure(status, headers, body)


def error_body(
    error: GatewayError, request_id: str
) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Status, headers and body for `error`."""
    headers = [
        (b"content-type", b"application/json; charset=utf-8"),
        (b"cache-control", b"no-store"),
        (b"x-request-id", request_id.encode("ascii", "replace")),
    ]
    if error.should_retry is not None:
        headers.append((b"x-should-retry", b"true" if error.should_retry else b"false"))
    if error.retry_after_s is not None:
        headers.append((b"retry-after", str(error.retry_after_s).encode()))
    return error.status, headers, _envelope(error)


def stream_error(error: GatewayError) -> bytes:
    """The event that breaks a stream off."""
    return b"data: " + _envelope(error) + b"\n\n"


def classify_failure(status: int, headers: Mapping[str, str], body: bytes) -> GatewayError:
    """What the provider's failure is to our client; `headers` has lower-case names."""
    told = _told(body)
    return provider_failures.failure(
        status,
        message=_text(told.get("message")),
        code=_text(told.get("code")),
        param=_text(told.get("param")),
        retry_after=headers.get("retry-after"),
    )


def failure_in_answer(error: object) -> GatewayError:
    """As `classify_failure`, for an error object told under status 200, where it is all we know."""
    told = _members(error)
    return provider_failures.failure(
        _status(told),
        message=_text(told.get("message")),
        code=_text(told.get("code")),
        param=_text(told.get("param")),
    )


def _envelope(error: GatewayError) -> bytes:
    return msgspec.json.encode(
        {
            "error": {
                "message": error.message,
                "type": error.kind,
                "param": error.param,
                "code": error.code,
            }
        }
    )


def _told(body: bytes) -> dict[str, Any]:
    """The members of the error object that `body` holds, in any shape seen; else none."""
    if len(body) > _BODY_MAX_BYTES:
        return {}
    try:
        document = read_value(body)
    except UnreadableAnswer:
        return {}
    if type(document) is list and document:  # Gemini's compatible endpoint wraps it in a list
        document = document[0]
    if type(document) is not dict:
        return {}
    return _members(document["error"] if document.get("error") else document)


def _members(error: object) -> dict[str, Any]:
    if type(error) is dict:
        return error
    return {"message": error} if type(error) is str else {}


def _status(told: dict[str, Any]) -> int:
    for name in ("code", "status", "status_code"):
        value = told.get(name)
        if type(value) is str and value.isascii() and value.isdigit() and len(value) == 3:
            value = int(value)
        if type(value) is int and 400 <= value <= 599:
            return value
    for name in ("type", "code"):
        value = told.get(name)
        if type(value) is str and value in _STATUS_BY_KIND:
            return _STATUS_BY_KIND[value]
    return _UNKNOWN_FAILURE


def _text(value: object) -> str | None:
    return value if type(value) is str else None
