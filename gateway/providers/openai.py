"""OpenAI, and every service that speaks its Chat Completions at another address.

Sources: https://platform.openai.com/docs/api-reference/chat, .../responses and .../completions
"""

from collections.abc import Mapping, Sequence

from gateway.http.upstream import Upstream, UpstreamAnswer, UpstreamRequest
from gateway.providers.contract import NO_SETTINGS, ONE_WORD, USUAL, Attempt, Visit

_PATHS = {"openai_responses": "responses", "openai_completions": "completions"}


class OpenAI:
    """Bearer keys, `{base_url}/chat/completions`; the base URL includes the version."""

    name = "openai"
    base_url = "https://api.openai.com/v1"
    is_whole_url = False
    needs_key = True
    habits = USUAL
    key_form = ONE_WORD
    spoken = ("openai_chat", "openai_completions", "openai_responses")
    settings = NO_SETTINGS

    def formats(
        self,
        base_url: str,
        upstream_model: str,  # noqa: ARG002 - it offers all in all
        settings: Mapping[str, str],  # noqa: ARG002 - it has none
    ) -> Sequence[str]:
        """Chat completions and the legacy ones everywhere; Responses where they come from."""
        is_own = not base_url or base_url == self.base_url
        return self.spoken if is_own else ("openai_chat", "openai_completions")

    async def open(self, attempt: Attempt, upstream: Upstream) -> UpstreamAnswer:
        """POST the body as it is."""
        path = _PATHS.get(attempt.format, "chat/completions")
        path += f"/{attempt.variant}" if attempt.variant else ""
        return await upstream.send(
            UpstreamRequest(
                url=f"{attempt.base_url}/{path}",
                headers={
                    "authorization": f"Bearer {attempt.key}",
                    "content-type": "application/json",
                },
                body=attempt.body,
            )
        )

    def lists(self, base_url: str) -> bool:
        """At its own address; others may list them to anybody."""
        return not base_url or base_url == self.base_url

    async def list_models(self, base_url: str, key: str, upstream: Upstream) -> UpstreamAnswer:
        """https://platform.openai.com/docs/api-reference/models/list."""
        headers = {"authorization": f"Bearer {key}"}
        return await upstream.send(UpstreamRequest(f"{base_url}/models", headers, method="GET"))

    async def visit(self, visit: Visit, upstream: Upstream) -> UpstreamAnswer:
        """Ask about a kept answer."""
        query = f"?{visit.query}" if visit.query else ""
        return await upstream.send(
            UpstreamRequest(
                url=f"{visit.base_url}/responses/{visit.path}{query}",
                headers={"authorization": f"Bearer {visit.key}"},
                method=visit.method,
            )
        )
