"""`GET /v1/models`: what this caller may ask for, in its own format.

The SDKs ask at the same address; their headers tell them apart.
"""

from collections.abc import Mapping, Sequence

import msgspec

from gateway.call.callers import Caller, identify
from gateway.channels.routing import models_served
from gateway.errors import GatewayError, UnknownModel
from gateway.formats.contract import Format
from gateway.formats.values import ServedModel
from gateway.http.exchange import Exchange
from gateway.routes.gemini_paths import OPENAI_PREFIX, is_gemini
from ledger import clock
from ledger.networks import Network
from projections.configuration import Configuration

_JSON = [(b"content-type", b"application/json; charset=utf-8"), (b"cache-control", b"no-store")]


class Models:
    """Lists models, and tells of one."""

    def __init__(
        self,
        formats: Mapping[str, Format],
        configuration: Configuration,
        trusted_proxies: Sequence[Network] = (),
    ) -> None:
        self._formats = formats
        self._configuration = configuration
        self._trusted_proxies = trusted_proxies

    async def serve(self, exchange: Exchange) -> None:
        """Answer `/v1/models` or `/v1/models/{id}`; an id may contain slashes."""
        client_format = self._formats[format_of_caller(exchange)]
        try:
            caller = await identify(exchange, self._configuration, self._trusted_proxies)
            _, _, model = exchange.path.partition("/models/")
            if model:
                answer = client_format.told_model(self._one(caller, model))
            else:
                answer = client_format.told_models(self._all(caller))
        except GatewayError as error:
            status, headers, body = client_format.error_body(error, exchange.request_id)
            await exchange.respond(status, headers, body)
        else:
            await exchange.respond(200, _JSON, msgspec.json.encode(answer))

    def _all(self, caller: Caller) -> list[ServedModel]:
        return [self._described(model) for model in sorted(self._available(caller))]

    def _one(self, caller: Caller, model: str) -> ServedModel:
        if model not in self._available(caller):
            raise UnknownModel(f"the model {model[:256]!r} does not exist or is not available here")
        return self._described(model)

    def _available(self, caller: Caller) -> set[str]:
        """Served to the caller's group, priced, and not withheld from the key."""
        held = self._configuration.held
        served = models_served(held.channels.values(), caller.group)
        now_us = clock.now_us()
        priced = {model for model in served & set(held.prices) if held.prices[model].at(now_us)}
        allowed = caller.terms.models
        return priced if allowed is None else priced & set(allowed)

    def _described(self, model: str) -> ServedModel:
        first_price = self._configuration.held.prices[model].prices[0]
        return ServedModel(model, first_price.effective_from_us // 1_000_000)


def format_of_caller(exchange: Exchange) -> str:
    """The format of who asks at an address that several SDKs share."""
    if exchange.path.startswith(OPENAI_PREFIX):
        return "openai_chat"
    asks_google = exchange.header(b"x-goog-api-key") is not None or b"key=" in exchange.query
    if asks_google or is_gemini(exchange.path):
        return "gemini"
    is_anthropic = exchange.header(b"anthropic-version") is not None
    return "anthropic_messages" if is_anthropic else "openai_chat"
