"""Vertex AI: each publisher at its own address, tokens for signed claims."""

import json

import msgspec
import pytest

from gateway.errors import UpstreamFailed
from gateway.http.upstream import UpstreamAnswer, UpstreamRequest, WholeAnswer
from gateway.providers.vertex import Vertex
from tests.gateway.providers.asking import FINE, Sent, answer, asked, attempt, sent_json
from tests.gateway.providers.service_accounts import EMAIL, claim_of, service_account

GLOBAL = "https://aiplatform.googleapis.com"
P = "projects/acme"
REGIONS = json.dumps({"gemini-2.5-pro": "us", "default": "europe-west4"})


@pytest.mark.parametrize(
    ("model", "is_stream", "region", "url"),
    [
        (
            "gemini-2.5-pro",
            False,
            None,
            f"{GLOBAL}/v1beta1/{P}/locations/global/publishers/google/models/gemini-2.5-pro"
            ":generateContent",
        ),
        (
            "gemini-2.5-pro",
            True,
            "europe-west1",
            f"https://europe-west1-aiplatform.googleapis.com/v1beta1/{P}/locations/europe-west1"
            "/publishers/google/models/gemini-2.5-pro:streamGenerateContent?alt=sse",
        ),
        (
            "gemini-2.5-pro",
            False,
            REGIONS,
            f"https://aiplatform.us.rep.googleapis.com/v1beta1/{P}/locations/us"
            "/publishers/google/models/gemini-2.5-pro:generateContent",
        ),
        (
            "claude-sonnet-4-5@20250929",
            False,
            REGIONS,
            f"https://europe-west4-aiplatform.googleapis.com/v1/{P}/locations/europe-west4"
            "/publishers/anthropic/models/claude-sonnet-4-5@20250929:rawPredict",
        ),
        (
            "claude-sonnet-4-5@20250929",
            True,
            "global",
            f"{GLOBAL}/v1/{P}/locations/global"
            "/publishers/anthropic/models/claude-sonnet-4-5@20250929:streamRawPredict",
        ),
        (
            "meta/llama-3.3-70b-instruct-maas",
            True,
            "us-central1",
            f"https://us-central1-aiplatform.googleapis.com/v1/{P}/locations/us-central1"
            "/endpoints/openapi/chat/completions",
        ),
    ],
)
def test_the_address(model: str, is_stream: bool, region: str | None, url: str) -> None:
    vertex = Vertex()
    settings = {"project": "acme"} if region is None else {"project": "acme", "region": region}
    (format_name,) = vertex.formats("", model, settings)
    one = attempt(vertex, format_name, model=model, is_stream=is_stream, settings=settings)
    request = asked(vertex, one)
    assert request.url == url
    assert request.headers["x-goog-api-key"] == "k"


def test_an_api_key_needs_no_project() -> None:
    vertex = Vertex()
    url = asked(vertex, attempt(vertex, "gemini", model="gemini-2.5-flash")).url
    assert url == f"{GLOBAL}/v1beta1/publishers/google/models/gemini-2.5-flash:generateContent"


def test_claudes_body_names_the_version_and_not_the_model() -> None:
    vertex = Vertex()
    body = {"model": "claude-x", "stream": True, "max_tokens": 5, "messages": []}
    sent = sent_json(asked(vertex, attempt(vertex, "anthropic_messages", body=body)))
    assert sent == {
        "stream": True,
        "max_tokens": 5,
        "messages": [],
        "anthropic_version": "vertex-2023-10-16",
    }


def test_a_service_account_signs_for_its_token_once() -> None:
    vertex, upstream = Vertex(), Sent(_google)
    one = attempt(vertex, "gemini", model="gemini-2.5-pro", key=service_account())
    for _ in range(2):
        assert answer(vertex, one, upstream).status == 200
    asking, *calls = upstream.requests
    assert asking.url == "https://oauth2.googleapis.com/token"
    header, claims = claim_of(asking.body)
    assert (header["alg"], header["kid"]) == ("RS256", "key-7")
    assert (claims["iss"], claims["aud"]) == (EMAIL, asking.url)
    assert claims["scope"] == "https://www.googleapis.com/auth/cloud-platform"
    assert claims["exp"] - claims["iat"] == 3600
    assert [call.headers["authorization"] for call in calls] == ["Bearer ya29.a"] * 2
    assert all("/projects/acme-project/" in call.url for call in calls)


def test_a_key_that_is_no_service_account_is_refused_without_asking_anybody() -> None:
    vertex, upstream = Vertex(), Sent()
    assert answer(vertex, attempt(vertex, "gemini", key='{"type":"user"}'), upstream).status == 401
    broken = json.dumps({**json.loads(service_account()), "private_key": "none"})
    with pytest.raises(UpstreamFailed, match="private key cannot be read"):
        answer(vertex, attempt(vertex, "gemini", key=broken), upstream)
    assert upstream.requests == []


@pytest.mark.parametrize("region", ["{", '{"default": "evil.example.com/"}', '{"default": 1}'])
def test_a_region_that_is_none_leads_nowhere(region: str) -> None:
    vertex, upstream = Vertex(), Sent()
    with pytest.raises(UpstreamFailed):
        answer(vertex, attempt(vertex, "gemini", settings={"region": region}), upstream)
    assert upstream.requests == []


def _google(request: UpstreamRequest) -> UpstreamAnswer:
    if not request.url.endswith("/token"):
        return FINE
    grant = {"token_type": "Bearer", "expires_in": 3599, "access_token": "ya29.a"}
    return WholeAnswer(200, {}, msgspec.json.encode(grant))
