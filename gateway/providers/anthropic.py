"""Anthropic, and every service that speaks its Messages at another address.

Source: https://docs.anthropic.com/en/api/overview
"""

from collections.abc import Sequence

from gateway.http.upstream import Upstream, UpstreamAnswer, UpstreamRequest
from gateway.providers.contract import NO_SETTINGS, ONE_WORD, USUAL, Attempt

VERSION = "2023-06-01"


class Anthropic:
    """Keys in `x-api-key`, `{base_url}/v1/messages`; versions and betas are the client's own."""

    name = "anthropic"
    base_url = "https://api.anthropic.com"
    is_whole_url = False
    needs_key = True
    habits = USUAL
    key_form = ONE_WORD
    spoken = ("anthropic_messages",)
    settings = NO_SETTINGS

    def formats(self, *_where: object) -> Sequence[str]:
        """Messages."""
        return self.spoken

    def lists(self, base_url: str) -> bool:
        """At its own address; others may list them to anybody."""
        return not base_url or base_url == self.base_url

    async def list_models(self, base_url: str, key: str, upstream: Upstream) -> UpstreamAnswer:
        """https://docs.anthropic.com/en/api/models-list."""
        url = f"{base_url}/v1/models?limit=1000"
        headers = {"anthropic-version": VERSION, "x-api-key": key}
        return await upstream.send(UpstreamRequest(url, headers, method="GET"))

    async def open(self, attempt: Attempt, upstream: Upstream) -> UpstreamAnswer:
        """POST the body as it is."""
        return await upstream.send(
            UpstreamRequest(
                url=f"{attempt.base_url}/v1/messages",
                headers={
                    "anthropic-version": VERSION,
                    **attempt.headers,
                    "x-api-key": attempt.key,
                    "content-type": "application/json",
                },
                body=attempt.body,
            )
        )
