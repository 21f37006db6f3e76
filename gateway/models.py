"""`GET /v1/models`: what this caller may ask for, in OpenAI's form.

Source: https://platform.openai.com/docs/api-reference/models
"""

from collections.abc import Sequence

import msgspec

from gateway.callers import Caller, Network, identify
from gateway.errors import GatewayError, UnknownModel
from gateway.exchange import Exchange
from gateway.formats.contract import Format
from gateway.routing import models_served
from ledger import clock
from projections.configuration import Configuration

_JSON = [(b"content-type", b"application/json; charset=utf-8"), (b"cache-control", b"no-store")]


class Models:
    """Lists models, and tells of one."""

    def __init__(
        self, wire: Format, configuration: Configuration, trusted_proxies: Sequence[Network] = ()
    ) -> None:
        self._wire = wire
        self._configuration = configuration
        self._trusted_proxies = trusted_proxies

    async def serve(self, exchange: Exchange) -> None:
        """Answer `/v1/models` or `/v1/models/{id}`; an id may contain slashes."""
        try:
            caller = await identify(exchange, self._configuration, self._trusted_proxies)
            _, _, model = exchange.path.partition("/models/")
            answer = self._one(caller, model) if model else self._all(caller)
        except GatewayError as error:
            status, headers, body = self._wire.error_body(error, exchange.request_id)
            await exchange.respond(status, headers, body)
        else:
            await exchange.respond(200, _JSON, msgspec.json.encode(answer))

    def _all(self, caller: Caller) -> dict[str, object]:
        models = [self._described(model) for model in sorted(self._available(caller))]
        return {"object": "list", "data": models}

    def _one(self, caller: Caller, model: str) -> dict[str, object]:
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

    def _described(self, model: str) -> dict[str, object]:
        first_price = self._configuration.held.prices[model].prices[0]
        created_s = first_price.effective_from_us // 1_000_000
        return {"id": model, "object": "model", "created": created_s, "owned_by": "tollgate"}
