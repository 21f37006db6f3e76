"""A route that reads JSON strictly: what two readers could understand differently is refused.

RFC 8259 leaves repeated names open and has no NaN; Python's own reader accepts both.
"""

import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute


class StrictRequest(Request):
    """A request whose `json()` refuses repeated names, NaN, Infinity and bottomless nesting."""

    async def json(self) -> Any:  # noqa: ANN401 - JSON is anything
        """The body. Raises json.JSONDecodeError for everything that is refused."""
        if not hasattr(self, "_strict_json"):
            self._strict_json = _parse(await self.body())
        return self._strict_json


class StrictRoute(APIRoute):
    """An APIRoute over StrictRequest."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, given a StrictRequest."""
        handler = super().get_route_handler()

        async def strict(request: Request) -> Response:
            return await handler(StrictRequest(request.scope, request.receive))

        return strict


def _parse(body: bytes) -> Any:  # noqa: ANN401 - JSON is anything
    try:
        return json.loads(body, object_pairs_hook=_without_repeats, parse_constant=_no_constant)
    except json.JSONDecodeError:
        raise
    except UnicodeDecodeError as error:
        raise json.JSONDecodeError("not UTF-8", "", 0) from error
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise json.JSONDecodeError(reason, "", 0) from error


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name is repeated")
    return members


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number")
