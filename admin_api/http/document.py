"""The OpenAPI 3.1 document: FastAPI's, with every error described as the problem it is."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from admin_api.http.problems import MEDIA_TYPE

PROBLEM_SCHEMA = {
    "type": "object",
    "title": "Problem",
    "description": "RFC 9457. `code` is stable; `title` and `detail` are for people.",
    "required": ["type", "title", "status", "code", "detail", "request_id"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "detail"],
                "properties": {"field": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
    },
}
_DESCRIPTIONS = {
    "4XX": "The request cannot be served as it is.",
    "5XX": "Not served now; 503 comes with Retry-After.",
}


def install(app: FastAPI) -> None:
    """Make the application describe itself like this."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title,
        version=app.version,
        openapi_version="3.1.0",
        routes=app.routes,
        servers=app.servers,
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas["Problem"] = PROBLEM_SCHEMA
    for path in document["paths"].values():
        for operation in path.values():
            operation["responses"].pop("422", None)
            operation["responses"].update(_problems())
    return document


def _problems() -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        status: {"description": description, "content": {MEDIA_TYPE: {"schema": schema}}}
        for status, description in _DESCRIPTIONS.items()
    }
