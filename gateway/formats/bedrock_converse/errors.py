"""A provider's failures: the status, the kind in a header, and the words in the body.

Sources: Errors of https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
and of .../API_runtime_ConverseStreamOutput.html
"""

import re
from collections.abc import Mapping
from typing import Any

from gateway.errors import ContextTooLong, GatewayError, UpstreamFailed
from gateway.formats.shared import provider_failures
from gateway.http.lenient_json import UnreadableAnswer, read_object

KIND_HEADER = "x-amzn-errortype"

_BODY_MAX_BYTES = 256 * 1024
_STATUS_OF_KIND = {
    "AccessDeniedException": 403,
    "InternalServerException": 500,
    "ModelErrorException": 424,
    "ModelNotReadyException": 429,
    "ModelStreamErrorException": 424,
    "ModelTimeoutException": 408,
    "ResourceNotFoundException": 404,
    "ServiceUnavailableException": 503,
    "ThrottlingException": 429,
    "ValidationException": 400,
}
_TOO_LONG = re.compile(
    r"(input|prompt) is too long|input tokens exceed|maximum context length", re.IGNORECASE
)
# Complaints about how a channel names its model, in the clothes of a bad request.
_OUR_FAULT = re.compile(
    r"on-demand throughput isn.t supported|model identifier is invalid", re.IGNORECASE
)


def classify_failure(status: int, headers: Mapping[str, str], body: bytes) -> GatewayError:
    """What the provider's failure is to our client; `headers` has lower-case names."""
    kind = headers.get(KIND_HEADER, "").partition(":")[0]
    return _failure(
        _STATUS_OF_KIND.get(kind, status), _message(_told(body)), headers.get("retry-after")
    )


def failure_in_stream(kind: str, told: Mapping[str, Any]) -> GatewayError:
    """As `classify_failure`, for an exception among the events, where its kind is all we know.
    There the kinds begin with a small letter.
    """
    return _failure(_STATUS_OF_KIND.get(kind[:1].upper() + kind[1:], 500), _message(told))


def _failure(status: int, message: str | None, retry_after: str | None = None) -> GatewayError:
    if message is not None and _OUR_FAULT.search(message):
        return UpstreamFailed(f"The provider failed with status {status}.")
    is_too_long = message is not None and _TOO_LONG.search(message) is not None
    return provider_failures.failure(
        status,
        message=message,
        code=ContextTooLong.code if is_too_long else None,
        retry_after=retry_after,
    )


def _told(body: bytes) -> Mapping[str, Any]:
    if len(body) > _BODY_MAX_BYTES:
        return {}
    try:
        return read_object(body)
    except UnreadableAnswer:
        return {}


def _message(told: Mapping[str, Any]) -> str | None:
    """Some parts of AWS write the name with a capital letter."""
    message = told.get("message") or told.get("Message")
    return message if type(message) is str else None
