"""Asks a provider without a network: what it sends, and what it makes of an answer."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import msgspec

from gateway.http.upstream import UpstreamAnswer, UpstreamRequest, WholeAnswer
from gateway.providers.contract import Attempt, Provider

FINE = WholeAnswer(200, {"content-type": "application/json"}, b"{}")
Answering = Callable[[UpstreamRequest], UpstreamAnswer]


@dataclass
class Sent:
    """Stands where `Upstream` does; keeps what is sent."""

    answering: Answering = lambda _: FINE
    requests: list[UpstreamRequest] = field(default_factory=list)

    async def send(self, request: UpstreamRequest) -> UpstreamAnswer:
        self.requests.append(request)
        return self.answering(request)


def attempt(
    provider: Provider,
    format_name: str,
    *,
    model: str = "m",
    key: str = "k",
    base_url: str = "",
    body: object = None,
    is_stream: bool = False,
    **more: Any,  # noqa: ANN401 - of Attempt
) -> Attempt:
    """One try, as `gateway.call.failover` makes it."""
    return Attempt(
        channel_id=UUID(int=1),
        base_url=base_url or provider.base_url,
        key=key,
        upstream_model=model,
        body=msgspec.json.encode({"model": model} if body is None else body),
        is_stream=is_stream,
        format=format_name,
        **more,
    )


def asked(provider: Provider, one: Attempt, answering: Answering | None = None) -> UpstreamRequest:
    """What the provider sends last."""
    upstream = Sent(answering) if answering else Sent()
    answer(provider, one, upstream)
    return upstream.requests[-1]


def answer(provider: Provider, one: Attempt, upstream: Sent) -> UpstreamAnswer:
    """What the provider makes of what comes back."""
    return asyncio.run(provider.open(one, upstream))  # type: ignore[arg-type]  # it asks to send


def sent_json(request: UpstreamRequest) -> Any:  # noqa: ANN401 - JSON
    """The body."""
    return msgspec.json.decode(request.body)


def setting_values(provider: Provider) -> Mapping[str, str]:
    """Something for each setting that has to be given."""
    return {one.name: "abc123" for one in provider.settings if one.is_required}
