"""Services other than OpenAI that speak Responses, and only these, at an address of their own."""

from collections.abc import Sequence

from gateway.http.upstream import Upstream, UpstreamAnswer, UpstreamRequest
from gateway.providers.contract import NO_SETTINGS, ONE_WORD, USUAL, Attempt, Visit


class OpenAIResponses:
    """Bearer keys, `{base_url}/responses`; the base URL includes the version."""

    name = "openai_responses"
    base_url = "https://api.openai.com/v1"
    is_whole_url = False
    needs_key = True
    habits = USUAL
    key_form = ONE_WORD
    spoken = ("openai_responses",)
    settings = NO_SETTINGS

    def formats(self, *_where: object) -> Sequence[str]:
        """Responses."""
        return self.spoken

    async def open(self, attempt: Attempt, upstream: Upstream) -> UpstreamAnswer:
        """POST the body as it is."""
        variant = f"/{attempt.variant}" if attempt.variant else ""
        return await upstream.send(
            UpstreamRequest(
                url=f"{attempt.base_url}/responses{variant}",
                headers={
                    "authorization": f"Bearer {attempt.key}",
                    "content-type": "application/json",
                },
                body=attempt.body,
            )
        )

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
