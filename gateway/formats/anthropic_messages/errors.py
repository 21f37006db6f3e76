"""Errors in Anthropic's envelope: ours to the client, and a provider's as told to us.

Source: https://docs.anthropic.com/en/api/errors; the SDKs read `x-should-retry`.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.errors import (
    ContextTooLong,
    GatewayError,
    InsufficientQuota,
    KeyNotAllowed,
    Overloaded,
    UpstreamTimeout,
)
from gateway.formats.shared import provider_failures
from gateway.http.lenient_json import UnreadableAnswer, read_value

CONTEXT_TOO_LONG = ContextTooLong.code

_BODY_MAX_BYTES = 256 * 1024
_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_TOO_LONG = re.compile(r"prompt is too long|exceed context limit", re.IGNORECASE)
_STATUS_OF_KIND = {kind: status for status, kind in _KINDS.items()} | {"api_error": 500}


def error_body(
    error: GatewayError, request_id: str
) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Status, headers and body for `error`."""
    identifier = request_id.encode("ascii", "replace")
    headers = [
        (b"content-type", b"application/json; charset=utf-8"),
        (b"cache-control", b"no-store"),
        (b"x-request-id", identifier),
        (b"request-id", identifier),
    ]
    if error.should_retry is not None:
        headers.append((b"x-should-retry", b"true" if error.should_retry else b"false"))
    if error.retry_after_s is not None:
        headers.append((b"retry-after", str(error.retry_after_s).encode()))
    return _status(error), headers, msgspec.json.encode(_envelope(error, request_id))


def stream_error(error: GatewayError) -> bytes:
    """The event that breaks a stream off."""
    return b"event: error\ndata: " + msgspec.json.encode(_envelope(error, None)) + b"\n\n"


def classify_failure(status: int, headers: Mapping[str, str], body: bytes) -> GatewayError:
    """What the provider's failure is to our client; `headers` has lower-case names."""
    message = _text(_told(body).get("message"))
    return provider_failures.failure(
        status,
        message=message,
        code=_code(message),
        retry_after=headers.get("retry-after"),
    )


def failure_in_answer(error: object) -> GatewayError:
    """As `classify_failure`, for an error told under status 200, where its kind is all we know."""
    told = error if type(error) is dict else {}
    status = _STATUS_OF_KIND.get(_text(told.get("type")) or "", 500)
    message = _text(told.get("message"))
    return provider_failures.failure(status, message=message, code=_code(message))


def _code(message: str | None) -> str | None:
    """The kinds of this format say no more than the status does; but for one complaint there is a
    code that clients of other formats act upon.
    """
    is_too_long = message is not None and _TOO_LONG.search(message) is not None
    return CONTEXT_TOO_LONG if is_too_long else None


def _status(error: GatewayError) -> int:
    if isinstance(error, InsufficientQuota):
        return 402
    return 529 if isinstance(error, Overloaded) else error.status


def _envelope(error: GatewayError, request_id: str | None) -> dict[str, Any]:
    envelope: dict[str, Any] = {
        "type": "error",
        "error": {"type": _kind(error), "message": _message(error)},
    }
    if request_id is not None:
        envelope["request_id"] = request_id
    return envelope


def _message(error: GatewayError) -> str:
    """Clients of this format know a prompt that is too long by these words, and shorten it."""
    if error.code != CONTEXT_TOO_LONG or _TOO_LONG.search(error.message):
        return error.message
    return f"prompt is too long: {error.message}"


def _kind(error: GatewayError) -> str:
    if isinstance(error, KeyNotAllowed):
        return "permission_error"
    if isinstance(error, UpstreamTimeout):
        return "timeout_error"
    status = _status(error)
    if status in _KINDS:
        return _KINDS[status]
    return "invalid_request_error" if status < 500 else "api_error"


def _told(body: bytes) -> dict[str, Any]:
    """The members of the error object that `body` holds; else none."""
    if len(body) > _BODY_MAX_BYTES:
        return {}
    try:
        document = read_value(body)
    except UnreadableAnswer:
        return {}
    error = document.get("error") if type(document) is dict else None
    return error if type(error) is dict else {}


def _text(value: object) -> str | None:
    return value if type(value) is str else None
