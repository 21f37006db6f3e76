"""What a provider says when it does not answer, in whatever envelope: its codes, its words, and for
how long it wants to be left alone. Pure.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from gateway.channels.told_waits import told_wait_s
from gateway.errors import ProviderWords
from gateway.http.lenient_json import UnreadableAnswer, read_value

_BODY_MAX_BYTES = 64 * 1024
_MESSAGE_MAX_CHARACTERS = 400
_DETAILS_MAX = 16
_LIMITED = 429
_AWS_KIND = "x-amzn-errortype"
_RETRY_INFO = "type.googleapis.com/google.rpc.RetryInfo"


class Complaint(NamedTuple):
    """A failure as its provider tells it. `codes`: every code, type, status word and reason in it,
    in lower case. `message`: its beginning. `wait_s`: how long to wait, where that is told.
    `is_told`: whether there is anything in it but a status.
    """

    status: int
    codes: frozenset[str] = frozenset()
    message: str = ""
    wait_s: float | None = None
    is_told: bool = True


def complaint(status: int, headers: Mapping[str, str], body: bytes, now_s: float) -> Complaint:
    """Of an answer with a status other than 200; `headers` by lower-case name, `now_s` since 1970.

    Envelopes: https://platform.openai.com/docs/guides/error-codes,
    https://docs.anthropic.com/en/api/errors, https://cloud.google.com/apis/design/errors,
    https://docs.aws.amazon.com/bedrock/latest/APIReference/CommonErrors.html; others put the same
    members at the top.
    """
    told = _told(body)
    details = list(_details(told))
    codes = {headers.get(_AWS_KIND, "").partition(":")[0]}
    codes |= {_code(told.get(name)) for name in ("code", "type", "status", "__type", "reason")}
    codes |= {_code(detail.get("reason")) for detail in details}
    message = _text(told)
    delay = next(
        (one.get("retryDelay") for one in details if one.get("@type") == _RETRY_INFO), None
    )
    return Complaint(
        status,
        frozenset(code.lower() for code in codes if code),
        message,
        told_wait_s(headers, message, delay, now_s, is_limited=status == _LIMITED),
        is_told=bool(told),
    )


def complaint_in_answer(words: ProviderWords) -> Complaint:
    """Of an error that was told under status 200."""
    message = words.message[:_MESSAGE_MAX_CHARACTERS]
    codes = frozenset({words.code.lower()} if words.code else ())
    return Complaint(words.status, codes, message, told_wait_s({}, message, None, 0.0))


def _told(body: bytes) -> Mapping[str, Any]:
    """The members of the error, wherever it is."""
    if len(body) > _BODY_MAX_BYTES:
        return {}
    try:
        document = read_value(body)
    except UnreadableAnswer:
        return {}
    if type(document) is list and document:
        document = document[0]
    if type(document) is not dict:
        return {}
    error = document.get("error")
    if type(error) is dict:
        return error
    return {"message": error} if type(error) is str else document


def _details(told: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    given = told.get("details")
    if type(given) is list:
        yield from (one for one in given[:_DETAILS_MAX] if type(one) is dict)


def _code(value: object) -> str:
    """A code as text; AWS puts a namespace before it."""
    if type(value) is int:
        return str(value)
    return value.rpartition("#")[2][:128] if type(value) is str else ""


def _text(told: Mapping[str, Any]) -> str:
    for name in ("message", "Message", "detail", "msg"):
        value = told.get(name)
        if type(value) is str:
            return re.sub(r"\s+", " ", value[:_MESSAGE_MAX_CHARACTERS])
    return ""
