"""Anthropic, and every service that speaks its Messages at another address.

Source: https://docs.anthropic.com/en/api/overview
"""

from collections.abc import Sequence

from gateway.providers.contract import Attempt
from gateway.upstream import Upstream, UpstreamAnswer, UpstreamRequest

VERSION = "2023-06-01"


class Anthropic:
    """Keys in `x-api-key`, `{base_url}/v1/messages`; versions and betas are the client's own."""

    name = "anthropic"
    base_url = "https://api.anthropic.com"
    needs_key = True

    def formats(self, base_url: str) -> Sequence[str]:  # noqa: ARG002 - everywhere the same
        """Messages."""
        return ("anthropic_messages",)

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
