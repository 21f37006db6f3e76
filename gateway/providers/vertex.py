"""Google's Vertex AI: Gemini, Claude and open models, each at an address of its own.

Sources: https://cloud.google.com/vertex-ai/docs/reference/rest,
https://docs.anthropic.com/en/api/claude-on-vertex-ai, and for service accounts
https://developers.google.com/identity/protocols/oauth2/service-account#httprest
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from urllib.parse import quote

import msgspec

from gateway.errors import UpstreamFailed
from gateway.http.raw_members import edited
from gateway.http.upstream import KEY_REFUSED, Upstream, UpstreamAnswer, UpstreamRequest
from gateway.providers.contract import USUAL, Attempt, KeyForm, Setting
from gateway.providers.shared.access_tokens import AccessTokens, Grant, exchanged, name_of
from ledger import clock

ANTHROPIC_VERSION = "vertex-2023-10-16"
BASE_URL = "https://{region}-aiplatform.googleapis.com"

_ANYWHERE = {
    "global": "https://aiplatform.googleapis.com",
    "us": "https://aiplatform.us.rep.googleapis.com",
    "eu": "https://aiplatform.eu.rep.googleapis.com",
}
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_LIVES_S = 3600
_REGION = re.compile("[a-z0-9-]{1,32}")
_REGIONS = msgspec.json.Decoder(dict[str, str])


class _ServiceAccount(msgspec.Struct, frozen=True):
    client_email: str
    private_key: str
    private_key_id: str = ""
    project_id: str = ""
    token_uri: str = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address


_read_account = msgspec.json.Decoder(_ServiceAccount).decode


class Vertex:
    """Tokens for a service account, or an API key; project, region and model in the address."""

    name = "vertex"
    base_url = BASE_URL
    is_whole_url = False
    needs_key = True
    habits = USUAL
    key_form = KeyForm("a service account's JSON, or an API key", may_be_json=True)
    spoken = ("gemini", "anthropic_messages", "openai_chat")
    settings = (
        Setting(
            "project",
            "The Google Cloud project; a service account's own where it is not given.",
            pattern="[a-z0-9.:-]{1,64}",
        ),
        Setting(
            "region",
            'A region, or a JSON object of regions by model with a "default".',
            default="global",
            pattern=r"[a-z0-9-]{1,32}|\{[\x20-\x7e]*\}",
        ),
    )

    def __init__(self) -> None:
        self._tokens = AccessTokens()

    def formats(
        self, _base_url: str, upstream_model: str, _settings: Mapping[str, str], /
    ) -> Sequence[str]:
        """The one its publisher speaks; Chat Completions for `publisher/model` of others."""
        if upstream_model.startswith("claude"):
            return ("anthropic_messages",)
        return ("openai_chat",) if "/" in upstream_model else ("gemini",)

    async def open(self, attempt: Attempt, upstream: Upstream) -> UpstreamAnswer:
        """POST the body as this address reads it."""
        own = {**attempt.headers, "content-type": "application/json"}
        body = attempt.body
        if attempt.format == "anthropic_messages":
            body = edited(body, {"anthropic_version": ANTHROPIC_VERSION}, ("model",))
        if not attempt.key.startswith("{"):
            url = _url(attempt, attempt.settings.get("project", ""))
            headers = {**own, "x-goog-api-key": attempt.key}
            return await upstream.send(UpstreamRequest(url, headers, body))
        try:
            account = _read_account(attempt.key)
        except msgspec.DecodeError:
            return KEY_REFUSED
        url = _url(attempt, attempt.settings.get("project", account.project_id))

        async def send(token: str) -> UpstreamAnswer:
            bearer = {**own, "authorization": f"Bearer {token}"}
            return await upstream.send(UpstreamRequest(url, bearer, body))

        return await self._tokens.ask(name_of(attempt.key), lambda: _grant(upstream, account), send)


def _url(attempt: Attempt, project: str) -> str:
    region = _region(attempt)
    if attempt.base_url == BASE_URL and region in _ANYWHERE:
        base_url = _ANYWHERE[region]
    else:
        base_url = attempt.base_url.replace("{region}", region)
    place = f"projects/{quote(project, safe='')}/locations/{region}/" if project else ""
    model = quote(attempt.upstream_model, safe="@")
    match attempt.format, attempt.is_stream:
        case "anthropic_messages", is_stream:
            action = "streamRawPredict" if is_stream else "rawPredict"
            return f"{base_url}/v1/{place}publishers/anthropic/models/{model}:{action}"
        case "gemini", is_stream:
            action = "streamGenerateContent?alt=sse" if is_stream else "generateContent"
            return f"{base_url}/v1beta1/{place}publishers/google/models/{model}:{action}"
        case _:
            return f"{base_url}/v1/{place}endpoints/openapi/chat/completions"


def _region(attempt: Attempt) -> str:
    """The channel's region for this model. Raises UpstreamFailed."""
    region = attempt.settings.get("region", "global")
    if region.startswith("{"):
        try:
            regions = _REGIONS.decode(region)
        except msgspec.DecodeError as error:
            raise UpstreamFailed("a channel's regions are no JSON object of texts") from error
        region = regions.get(attempt.upstream_model) or regions.get("default", "global")
    if not _REGION.fullmatch(region):
        raise UpstreamFailed("a channel's region is none")
    return region


async def _grant(upstream: Upstream, account: _ServiceAccount) -> Grant:
    """A token for a claim that is signed with the account's own key. Raises as `exchanged`."""
    try:
        claim = await asyncio.to_thread(_signed_claim, account)
    except ValueError as error:
        raise UpstreamFailed("a service account's private key cannot be read") from error
    form = {"grant_type": _JWT_BEARER, "assertion": claim}
    return await exchanged(upstream, account.token_uri, form)


def _signed_claim(account: _ServiceAccount) -> str:
    # Most installations have no such channel, and every process of theirs would load the library.
    from google.auth import crypt, jwt  # noqa: PLC0415

    key_id = account.private_key_id or None
    signer = crypt.RSASigner.from_string(account.private_key, key_id)  # type: ignore[no-untyped-call]
    now_s = clock.now_us() // 1_000_000
    claim = {
        "iss": account.client_email,
        "scope": _SCOPE,
        "aud": account.token_uri,
        "iat": now_s,
        "exp": now_s + _LIVES_S,
    }
    return bytes(jwt.encode(signer, claim)).decode()  # type: ignore[no-untyped-call]
