"""Azure: deployments in the address, the key or a token of Entra ID in the headers."""

import msgspec
import pytest

from gateway.http.upstream import UpstreamAnswer, UpstreamRequest, WholeAnswer
from gateway.providers.azure import Azure
from tests.gateway.providers.asking import FINE, Sent, answer, asked, attempt

BASE = "https://acme.openai.azure.com"
SERVICES = "https://acme.cognitiveservices.azure.com"
PREVIEW = "2025-04-01-preview"


@pytest.mark.parametrize(
    ("format_name", "base_url", "settings", "url"),
    [
        (
            "openai_chat",
            BASE,
            {},
            f"{BASE}/openai/deployments/my%20gpt%2F5/chat/completions?api-version={PREVIEW}",
        ),
        (
            "openai_chat",
            BASE,
            {"api_version": "2024-10-21"},
            f"{BASE}/openai/deployments/my%20gpt%2F5/chat/completions?api-version=2024-10-21",
        ),
        ("openai_responses", BASE, {}, f"{BASE}/openai/v1/responses?api-version=preview"),
        (
            "openai_responses",
            BASE,
            {"responses_api_version": "v1"},
            f"{BASE}/openai/v1/responses?api-version=v1",
        ),
        (
            "openai_responses",
            SERVICES,
            {},
            f"{SERVICES}/openai/responses?api-version={PREVIEW}",
        ),
        ("anthropic_messages", BASE, {}, f"{BASE}/anthropic/v1/messages"),
    ],
)
def test_the_address(format_name: str, base_url: str, settings: dict[str, str], url: str) -> None:
    one = attempt(Azure(), format_name, model="my gpt/5", base_url=base_url, settings=settings)
    request = asked(Azure(), one)
    assert (request.url, request.body) == (url, one.body)


def test_a_resources_key() -> None:
    azure = Azure()
    chat = asked(azure, attempt(azure, "openai_chat", base_url=BASE, key="k-1")).headers
    assert chat == {"api-key": "k-1", "content-type": "application/json"}
    claude = asked(azure, attempt(azure, "anthropic_messages", base_url=BASE, key="k-1")).headers
    assert (claude["x-api-key"], claude["anthropic-version"]) == ("k-1", "2023-06-01")
    assert "api-key" not in claude


def test_an_application_of_entra_id_asks_for_a_token_first_and_once() -> None:
    azure = Azure()
    upstream = Sent(_entra)
    one = attempt(azure, "openai_chat", base_url=BASE, key="tenant|client|s3cret")
    for _ in range(2):
        assert answer(azure, one, upstream).status == 200
    asking, *calls = upstream.requests
    assert asking.url == "https://login.microsoftonline.com/tenant/oauth2/v2.0/token"
    assert asking.body == (
        b"grant_type=client_credentials&client_id=client&client_secret=s3cret"
        b"&scope=https%3A%2F%2Fcognitiveservices.azure.com%2F.default"
    )
    assert [call.headers["authorization"] for call in calls] == ["Bearer eyJ.a"] * 2
    assert all("api-key" not in call.headers for call in calls)


def test_a_cloud_of_its_own_gives_its_tokens_elsewhere() -> None:
    azure, upstream = Azure(), Sent(_entra)
    settings = {
        "login_url": "https://login.microsoftonline.us",
        "scope": "https://cognitiveservices.azure.us/.default",
    }
    key = "tenant|client|s3cret"
    one = attempt(azure, "openai_chat", base_url=BASE, key=key, settings=settings)
    answer(azure, one, upstream)
    assert upstream.requests[0].url.startswith("https://login.microsoftonline.us/tenant/")
    assert upstream.requests[0].body.endswith(b"azure.us%2F.default")


def test_a_secret_that_entra_id_refuses_is_a_refused_key() -> None:
    refusal = WholeAnswer(401, {}, b'{"error":"invalid_client","error_description":"s3cret"}')
    azure, upstream = Azure(), Sent(lambda _: refusal)
    one = attempt(azure, "openai_chat", base_url=BASE, key="tenant|client|s3cret")
    told = answer(azure, one, upstream)
    assert (told.status, len(upstream.requests)) == (401, 1)


def _entra(request: UpstreamRequest) -> UpstreamAnswer:
    if not request.url.endswith("/token"):
        return FINE
    grant = {"token_type": "Bearer", "expires_in": 3599, "access_token": "eyJ.a"}
    return WholeAnswer(200, {}, msgspec.json.encode(grant))
