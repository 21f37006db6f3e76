"""Who asks. Every route declares the permission that it takes; there is no default.

Only `Authorization: Bearer` is read, never a cookie, a query or the path. Whatever is wrong with
a credential, the answer is the same.
"""

import ipaddress
import re
from collections.abc import Callable, MutableMapping, Sequence
from typing import Annotated, Any, cast

from fastapi import Depends, Request
from fastapi.dependencies.models import Dependant
from fastapi.openapi.models import HTTPBearer as BearerModel
from fastapi.security.base import SecurityBase

from admin_api.access.permissions import Operator, Owner, Permission
from admin_api.desk import Desk
from admin_api.errors import InvalidInput, Unauthorized
from admin_api.operators.operations import find_operator
from ledger import clock
from ledger.errors import NotFound
from ledger.networks import read_network
from projections.configuration import Caller

ClientAddress = Callable[[MutableMapping[str, Any]], str | None]
"""From an ASGI scope to the address of the client, past the proxies that are trusted."""

_HEADER = b"authorization"
_TOKEN = re.compile(r"[\x21-\x7e]{1,256}", re.ASCII)


def the_desk(request: Request) -> Desk:
    """The desk that the application was built with."""
    return cast("Desk", request.app.state.desk)


TheDesk = Annotated[Desk, Depends(the_desk)]


class BearerToken(SecurityBase):
    """Reads the one bearer token of a request. Raises Unauthorized."""

    def __init__(self) -> None:
        self.model = BearerModel()
        self.scheme_name = "token"

    async def __call__(self, request: Request) -> str:
        """The token."""
        return _token(request.headers.getlist("authorization"))


Token = Annotated[str, Depends(BearerToken())]


class Public:
    """The guard of what anybody may see: it says nothing of anybody's events but their hashes."""

    async def __call__(self, request: Request) -> None:
        """Nobody is asked for anything."""
        _refuse_unknown_parameters(request)


class Permit:
    """A route's guard: an operator with the permission, or Unauthorized or Forbidden."""

    def __init__(self, permission: Permission) -> None:
        self.permission: Permission = permission

    async def __call__(self, request: Request, desk: TheDesk, token: Token) -> Operator:
        """The operator who asks."""
        operator = await self._operator(desk, token)
        _refuse_unknown_parameters(request)
        return operator

    async def _operator(self, desk: Desk, token: str) -> Operator:
        found = await find_operator(desk, token)
        if found is None:
            raise Unauthorized("nobody has this token")
        operator = Operator(*found)
        operator.require(self.permission)
        return operator


class PermitOrOwn(Permit):
    """The guard of what an API key may see of its own: an Operator, or the key as an Owner."""

    async def __call__(  # type: ignore[override]  # FastAPI asks each for what it declares
        self, request: Request, desk: TheDesk, token: Token
    ) -> Operator | Owner:
        """Who asks."""
        caller = await desk.configuration.caller(token)
        if caller is None:
            return await super().__call__(request, desk, token)
        address = cast("ClientAddress", request.app.state.client_address)(request.scope)
        owner = _owner(caller, address)
        _refuse_unknown_parameters(request)
        return owner


async def is_somebody(
    desk: Desk, client_address: ClientAddress, scope: MutableMapping[str, Any]
) -> bool:
    """Whether the credential in a request's head opens anything, whatever that may be.

    Raises NotCaughtUp and psycopg.Error when it is not known.
    """
    given = [value.decode("latin-1") for name, value in scope["headers"] if name == _HEADER]
    try:
        token = _token(given)
        caller = await desk.configuration.caller(token)
        if caller is None:
            return await find_operator(desk, token) is not None
        _owner(caller, client_address(scope))
    except Unauthorized:
        return False
    return True


def _token(headers: Sequence[str]) -> str:
    """The one token of a request's `Authorization` headers. Raises Unauthorized."""
    scheme, _, token = headers[0].partition(" ") if len(headers) == 1 else ("", "", "")
    if scheme.lower() != "bearer" or _TOKEN.fullmatch(token) is None:
        raise Unauthorized("no token")
    return token


def peer_address(scope: MutableMapping[str, Any]) -> str | None:
    """The address the connection comes from."""
    client = scope.get("client")
    return None if client is None else str(client[0])


def _refuse_unknown_parameters(request: Request) -> None:
    """A misspelt condition must not widen the question. Raises InvalidInput."""
    known = _query_parameters(request.scope["route"].dependant)
    if any("\0" in value for value in request.path_params.values() if isinstance(value, str)):
        raise NotFound("nothing has such a name")
    if any("\0" in value for _, value in request.query_params.multi_items()):
        raise InvalidInput("query", "must not contain a character that no text may have")
    given = [name for name, _ in request.query_params.multi_items()]
    for name in given:
        if name not in known:
            raise InvalidInput("query", "has a parameter that does not exist here")
        if given.count(name) > 1:
            raise InvalidInput(name, "must be given once")


def _query_parameters(dependant: Dependant) -> set[str]:
    """The names that a route declares, by itself and by what it depends on."""
    own = {parameter.alias for parameter in dependant.query_params}
    return own.union(*map(_query_parameters, dependant.dependencies))


def _owner(caller: Caller, address: str | None) -> Owner:
    """What a key may see, if it may be used now from here. Raises Unauthorized."""
    key = caller.key
    expires_at_us = key.terms.expires_at_us
    is_expired = expires_at_us is not None and expires_at_us <= clock.now_us()
    if key.issued is None or key.is_revoked or is_expired:
        raise Unauthorized("this key opens nothing any more")
    if key.terms.allowed_ips is not None and not _is_within(address, key.terms.allowed_ips):
        raise Unauthorized("this key opens nothing from here")
    return Owner(key.issued.account_id, key.issued.key_id)


def _is_within(address: str | None, networks: tuple[str, ...]) -> bool:
    try:
        parsed = ipaddress.ip_address(address or "")
    except ValueError:
        return False
    parsed = getattr(parsed, "ipv4_mapped", None) or parsed
    return any(parsed in read_network(network) for network in networks)
