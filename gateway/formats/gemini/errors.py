"""Errors in Google's envelope: ours to the client, and a provider's as told to us.

Source: https://cloud.google.com/apis/design/errors (google.rpc.Status over HTTP).
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.errors import GatewayError, InsufficientQuota
from gateway.formats.shared import provider_failures
from gateway.http.lenient_json import UnreadableAnswer, read_value

_BODY_MAX_BYTES = 256 * 1024
_STATUS_WORDS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "INVALID_ARGUMENT",
    408: "DEADLINE_EXCEEDED",
    413: "INVALID_ARGUMENT",
    415: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_HTTP_OF_WORD = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "RESOURCE_EXHAUSTED": 429,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}


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
    return error.status, headers, msgspec.json.encode(_envelope(error))


def stream_error(error: GatewayError) -> bytes:
    """The event that breaks a stream off."""
    return b"data: " + msgspec.json.encode(_envelope(error)) + b"\n\n"


def classify_failure(status: int, headers: Mapping[str, str], body: bytes) -> GatewayError:
    """What the provider's failure is to our client; `headers` has lower-case names."""
    told = _told(body)
    return provider_failures.failure(
        status, message=_text(told.get("message")), retry_after=headers.get("retry-after")
    )


def failure_in_answer(error: object) -> GatewayError:
    """As `classify_failure`, for an error told under status 200."""
    told = error if type(error) is dict else {}
    code, word = told.get("code"), told.get("status")
    if type(code) is not int or not 400 <= code <= 599:
        code = _HTTP_OF_WORD.get(word if type(word) is str else "", 500)
    return provider_failures.failure(code, message=_text(told.get("message")))


def _envelope(error: GatewayError) -> dict[str, Any]:
    word = _STATUS_WORDS.get(error.status, "INTERNAL")
    told: dict[str, Any] = {"code": error.status, "message": error.message, "status": word}
    reason = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": error.code}
    if isinstance(error, InsufficientQuota) or error.code:
        told["details"] = [reason | {"domain": "tollgate"}]
    return {"error": told}


def _told(body: bytes) -> dict[str, Any]:
    """The members of the error object that `body` holds; a stream's is wrapped in a list."""
    if len(body) > _BODY_MAX_BYTES:
        return {}
    try:
        document = read_value(body)
    except UnreadableAnswer:
        return {}
    if type(document) is list and document:
        document = document[0]
    error = document.get("error") if type(document) is dict else None
    return error if type(error) is dict else {}


def _text(value: object) -> str | None:
    return value if type(value) is str else None
