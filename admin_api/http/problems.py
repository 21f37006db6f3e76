"""Every error as `application/problem+json` (RFC 9457), with a stable `code`.

A condition that passes is told in fixed words, because its own may name hosts; so is a bug.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import psycopg
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from admin_api.errors import STATUS, UNAVAILABLE, DeskError, InvalidFile, InvalidInput, Unauthorized
from ledger.errors import InvalidAmount, LedgerError

log = structlog.get_logger()

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 1
NO_TOKEN = "A valid bearer token is required."  # noqa: S105 - words
_ERRORS_MAX = 20
_CODES: Mapping[int, str] = {
    400: "invalid_request",
    404: "not_found",
    405: "method_not_allowed",
    413: "request_too_large",
    415: "unsupported_media_type",
}


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    request_id: str,
    errors: Sequence[Mapping[str, str]] = (),
) -> tuple[dict[str, Any], dict[str, str]]:
    """The body and the headers of a problem."""
    body: dict[str, Any] = {
        "type": f"urn:tollgate:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
        "request_id": request_id,
    }
    if errors:
        body["errors"] = list(errors)
    headers = {}
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["retry-after"] = str(RETRY_AFTER_S)
    if status == HTTPStatus.UNAUTHORIZED:
        headers["www-authenticate"] = "Bearer"
    return body, headers


def surrounding_headers(request_id: str) -> list[tuple[bytes, bytes]]:
    """What every answer carries, in ASGI's form."""
    return [
        (b"x-request-id", request_id.encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]


def install(app: FastAPI) -> None:
    """Make the application answer every error like this."""
    app.add_exception_handler(DeskError, _refused)
    app.add_exception_handler(LedgerError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(psycopg.OperationalError, _database_away)
    app.add_exception_handler(psycopg.InterfaceError, _database_away)
    app.add_exception_handler(Exception, _bug)


async def _refused(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, DeskError | LedgerError)
    status = STATUS[type(error)]
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.warning("desk.refused", code=error.code, error=str(error), request_id=_id(request))
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return _answer(request, status, error.code, "This should not have happened.")
    if isinstance(error, Unauthorized):
        return _answer(request, status, error.code, NO_TOKEN)
    errors: Sequence[Mapping[str, str]] = ()
    if isinstance(error, InvalidFile):
        errors = [{"field": place, "detail": what} for place, what in error.rows]
    elif isinstance(error, InvalidInput):
        errors = ({"field": error.field, "detail": error.message},)
    detail = UNAVAILABLE.get(error.code, str(error))
    return _answer(request, status, error.code, detail, errors)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    if any(one["type"] == "json_invalid" for one in found):
        reason = found[0].get("ctx", {}).get("error", "")
        return _answer(request, 400, "invalid_json", f"The body is not JSON: {reason}")
    if any(one["type"] == InvalidAmount.code for one in found):
        code = InvalidAmount.code
    elif any(one["type"] == "extra_forbidden" for one in found):
        code = "unknown_field"
    else:
        code = InvalidInput.code
    # The value itself is not repeated: it may be a secret in the wrong place.
    errors = [
        {"field": ".".join(str(part) for part in one["loc"][1:]), "detail": str(one["msg"])}
        for one in found[:_ERRORS_MAX]
    ]
    return _answer(request, 422, code, "The request is not what it must be.", errors)


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    code = _CODES.get(error.status_code, "invalid_request")
    response = _answer(request, error.status_code, code, str(error.detail))
    if error.headers:
        response.headers.update(error.headers)
    return response


async def _database_away(request: Request, error: Exception) -> JSONResponse:
    log.warning("desk.database_away", error=str(error), request_id=_id(request))
    code = "store_unavailable"
    return _answer(request, 503, code, UNAVAILABLE[code])


async def _bug(request: Request, error: Exception) -> JSONResponse:
    # Only the kind: its words may be a secret. The server logs where it happened.
    log.error("desk.failed", kind=type(error).__name__, request_id=_id(request))
    response = _answer(request, 500, "internal_error", "This should not have happened.")
    # Bugs are answered outside the middleware that adds these to everything else.
    response.raw_headers.extend(surrounding_headers(_id(request)))
    return response


def _answer(
    request: Request,
    status: int,
    code: str,
    detail: str,
    errors: Sequence[Mapping[str, str]] = (),
) -> JSONResponse:
    body, headers = problem(status, code, detail, request_id=_id(request), errors=errors)
    return JSONResponse(body, status, headers, media_type=MEDIA_TYPE)


def _id(request: Request) -> str:
    return str(request.scope.get("state", {}).get("request_id", ""))
