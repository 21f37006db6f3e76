"""C5: vendors that tell a good key, for nothing, which models it may use."""

import asyncio

import pytest

from gateway.http.upstream import Upstream, UpstreamAnswer, UpstreamRequest, WholeAnswer
from gateway.providers.contract import Lister
from gateway.providers.registry import PROVIDERS

AT: dict[str, str] = {
    "openai": "https://api.openai.com/v1/models",
    "anthropic": "https://api.anthropic.com/v1/models?limit=1000",
    "gemini": "https://generativelanguage.googleapis.com/v1beta/models?pageSize=1000",
    "deepseek": "https://api.deepseek.com/models",
    "mistral": "https://api.mistral.ai/v1/models",
    "xai": "https://api.x.ai/v1/models",
    "groq": "https://api.groq.com/openai/v1/models",
    "moonshot": "https://api.moonshot.cn/v1/models",
}


class Noted(Upstream):
    """Keeps what it is asked."""

    idle_s = 1.0

    def __init__(self) -> None:
        self.asked: list[UpstreamRequest] = []

    async def send(self, request: UpstreamRequest) -> UpstreamAnswer:
        self.asked.append(request)
        return WholeAnswer(200, {}, b"{}")

    async def close(self) -> None:
        """Nothing is open."""


def test_these_and_no_others_do() -> None:
    """A list that anybody may see says nothing of a key."""
    found = {name for name, one in PROVIDERS.items() if isinstance(one, Lister) and one.lists("")}
    assert found == AT.keys()


@pytest.mark.parametrize("name", AT)
def test_where_and_with_the_key_in_a_header(name: str) -> None:
    provider, upstream = PROVIDERS[name], Noted()
    assert isinstance(provider, Lister)
    asyncio.run(provider.list_models(provider.base_url, "the-key", upstream))
    (request,) = upstream.asked
    assert (request.method, request.url, request.body) == ("GET", AT[name], b"")
    assert any("the-key" in value for value in request.headers.values())
    assert not provider.lists("https://elsewhere.example/v1")
