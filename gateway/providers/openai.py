"""OpenAI, and every service that speaks its Chat Completions at another address.

Source: https://platform.openai.com/docs/api-reference/chat
"""

from gateway.providers.contract import Attempt
from gateway.upstream import Upstream, UpstreamAnswer, UpstreamRequest


class OpenAI:
    """Bearer keys, `{base_url}/chat/completions`; the base URL includes the version."""

    name = "openai"
    format = "openai_chat"
    base_url = "https://api.openai.com/v1"
    needs_key = True

    async def open(self, attempt: Attempt, upstream: Upstream) -> UpstreamAnswer:
        """POST the body as it is."""
        return await upstream.send(
            UpstreamRequest(
                url=f"{attempt.base_url}/chat/completions",
                headers={
                    "authorization": f"Bearer {attempt.key}",
                    "content-type": "application/json",
                },
                body=attempt.body,
            )
        )
