"""Google's Gemini API, and every service that speaks it at another address.

Source: https://ai.google.dev/api
"""

from collections.abc import Sequence
from urllib.parse import quote

from gateway.http.upstream import Upstream, UpstreamAnswer, UpstreamRequest
from gateway.providers.contract import NO_SETTINGS, ONE_WORD, USUAL, Attempt


class Gemini:
    """Keys in `x-goog-api-key`; the model and whether to stream stand in the address."""

    name = "gemini"
    base_url = "https://generativelanguage.googleapis.com"
    is_whole_url = False
    needs_key = True
    habits = USUAL
    key_form = ONE_WORD
    spoken = ("gemini",)
    settings = NO_SETTINGS

    def formats(self, *_where: object) -> Sequence[str]:
        """generateContent."""
        return self.spoken

    def lists(self, base_url: str) -> bool:
        """At its own address; others may list them to anybody."""
        return not base_url or base_url == self.base_url

    async def list_models(self, base_url: str, key: str, upstream: Upstream) -> UpstreamAnswer:
        """https://ai.google.dev/api/models#method:-models.list."""
        url = f"{base_url}/v1beta/models?pageSize=1000"
        return await upstream.send(UpstreamRequest(url, {"x-goog-api-key": key}, method="GET"))

    async def open(self, attempt: Attempt, upstream: Upstream) -> UpstreamAnswer:
        """POST the body as it is."""
        action = "streamGenerateContent?alt=sse" if attempt.is_stream else "generateContent"
        model = quote(attempt.upstream_model.removeprefix("models/"), safe="")
        return await upstream.send(
            UpstreamRequest(
                url=f"{attempt.base_url}/v1beta/models/{model}:{action}",
                headers={"x-goog-api-key": attempt.key, "content-type": "application/json"},
                body=attempt.body,
            )
        )
