"""Azure: OpenAI's models as deployments of a resource, and Claude beside them.

Sources: https://learn.microsoft.com/azure/ai-foundry/openai/reference, and for Entra ID
https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow
"""

from collections.abc import Mapping, Sequence
from urllib.parse import quote, urlsplit

from gateway.http.upstream import Upstream, UpstreamAnswer, UpstreamRequest
from gateway.providers.contract import USUAL, Attempt, KeyForm, Setting
from gateway.providers.shared.access_tokens import AccessTokens, Grant, exchanged, name_of

API_VERSION = "2025-04-01-preview"
LOGIN_URL = "https://login.microsoftonline.com"

_ANTHROPIC_VERSION = "2023-06-01"
_OPENAI_SCOPE = "https://cognitiveservices.azure.com/.default"
_CLAUDE_SCOPE = "https://ai.azure.com/.default"
_PART = r"[\x21-\x7b\x7d\x7e]+"
_VERSION = "[A-Za-z0-9.-]{1,64}"
_URL = r"https?://[A-Za-z0-9.-]+(:\d+)?(/[A-Za-z0-9._/-]*)?"


class Azure:
    """A resource's own key in `api-key`, or a token of Entra ID; a model is a deployment's name."""

    name = "azure"
    base_url = ""
    is_whole_url = False
    needs_key = True
    habits = USUAL
    key_form = KeyForm(
        "the resource's key, or `tenant|client_id|client_secret` of an application in Entra ID",
        rf"{_PART}(\|{_PART}\|{_PART})?",
    )
    spoken = ("openai_chat", "openai_responses", "anthropic_messages")
    settings = (
        Setting("api_version", "The API version.", default=API_VERSION, pattern=_VERSION),
        Setting(
            "responses_api_version",
            "The API version of Responses, where it is another.",
            default="preview",
            pattern=_VERSION,
        ),
        Setting(
            "login_url",
            "Where Entra ID is, in a cloud of its own.",
            default=LOGIN_URL,
            pattern=_URL,
            leads_keys=True,
        ),
        Setting("scope", "What Entra ID's tokens are asked for.", pattern=_URL),
    )

    def __init__(self) -> None:
        self._tokens = AccessTokens()

    def formats(
        self, _base_url: str, upstream_model: str, _settings: Mapping[str, str], /
    ) -> Sequence[str]:
        """Messages for Claude; Chat Completions and Responses for all others."""
        if upstream_model.startswith("claude"):
            return ("anthropic_messages",)
        return ("openai_chat", "openai_responses")

    async def open(self, attempt: Attempt, upstream: Upstream) -> UpstreamAnswer:
        """POST the body as it is, with the key or with a token for it."""
        own = {**attempt.headers, "content-type": "application/json"}
        if attempt.format == "anthropic_messages":
            own = {"anthropic-version": _ANTHROPIC_VERSION, **own}
        url = _url(attempt)
        parts = attempt.key.split("|")
        if len(parts) == 1:
            is_claude = attempt.format == "anthropic_messages"
            header = {"x-api-key" if is_claude else "api-key": attempt.key}
            return await upstream.send(UpstreamRequest(url, {**own, **header}, attempt.body))

        async def send(token: str) -> UpstreamAnswer:
            bearer = {**own, "authorization": f"Bearer {token}"}
            return await upstream.send(UpstreamRequest(url, bearer, attempt.body))

        login_url, scope = _login(attempt)
        return await self._tokens.ask(
            name_of(attempt.key, login_url, scope),
            lambda: _grant(upstream, parts, login_url, scope),
            send,
        )


def _url(attempt: Attempt) -> str:
    base_url = attempt.base_url
    version = quote(attempt.settings.get("api_version", API_VERSION), safe="")
    if attempt.format == "anthropic_messages":
        return f"{base_url}/anthropic/v1/messages"
    if attempt.format == "openai_chat":
        deployment = quote(attempt.upstream_model, safe="")
        return f"{base_url}/openai/deployments/{deployment}/chat/completions?api-version={version}"
    given = attempt.settings.get("responses_api_version", "")
    host = urlsplit(base_url).hostname or ""
    if not given and host.endswith(".cognitiveservices.azure.com"):
        return f"{base_url}/openai/responses?api-version={version}"
    return f"{base_url}/openai/v1/responses?api-version={quote(given or 'preview', safe='')}"


def _login(attempt: Attempt) -> tuple[str, str]:
    """Where tokens are given out, and what for."""
    is_claude = attempt.format == "anthropic_messages"
    usual = _CLAUDE_SCOPE if is_claude else _OPENAI_SCOPE
    return (
        attempt.settings.get("login_url", LOGIN_URL).rstrip("/"),
        attempt.settings.get("scope", usual),
    )


async def _grant(upstream: Upstream, parts: Sequence[str], login_url: str, scope: str) -> Grant:
    """A token for an application's secret."""
    tenant, client_id, client_secret = parts
    return await exchanged(
        upstream,
        f"{login_url}/{quote(tenant, safe='')}/oauth2/v2.0/token",
        {
            "grant_type": "client_credentials",
            "client_id": client_id,
            "client_secret": client_secret,
            "scope": scope,
        },
    )
