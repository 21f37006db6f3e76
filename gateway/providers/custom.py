"""Anybody who speaks a known format at an address that no rule gives: the channel has all of it."""

from collections.abc import Mapping, Sequence
from urllib.parse import quote

from gateway.http.upstream import Upstream, UpstreamAnswer, UpstreamRequest
from gateway.providers.contract import ONE_WORD, USUAL, Attempt, Setting
from gateway.providers.shared.credentials import request_headers

_FORMATS = ("openai_chat", "openai_responses", "anthropic_messages", "gemini")
_STREAMED_GEMINI = "streamGenerateContent"


class Custom:
    """`base_url` is the whole address; `{model}` in it is the model, `{action}` what Gemini has in
    its addresses.
    """

    name = "custom"
    base_url = ""
    is_whole_url = True
    needs_key = False
    habits = USUAL
    key_form = ONE_WORD
    spoken = _FORMATS
    settings: Sequence[Setting] = (
        Setting(
            "format",
            "The format spoken there.",
            default="openai_chat",
            pattern="|".join(_FORMATS),
        ),
        Setting(
            "key_header",
            "The header for the key alone, such as api-key; else where the format has its keys.",
            pattern="[A-Za-z0-9-]{1,64}",
        ),
    )

    def formats(
        self, _base_url: str, _upstream_model: str, settings: Mapping[str, str], /
    ) -> Sequence[str]:
        """The one the channel names."""
        return (settings.get("format", "openai_chat"),)

    async def open(self, attempt: Attempt, upstream: Upstream) -> UpstreamAnswer:
        """POST the body as it is."""
        key_header = attempt.settings.get("key_header", "")
        key = "" if key_header else attempt.key
        headers = request_headers(attempt.format, key, attempt.headers)
        if key_header and attempt.key:
            headers[key_header.lower()] = attempt.key
        return await upstream.send(UpstreamRequest(_url(attempt), headers, attempt.body))


def _url(attempt: Attempt) -> str:
    streams = attempt.is_stream and attempt.format == "gemini"
    url = attempt.base_url.replace("{model}", quote(attempt.upstream_model, safe=""))
    url = url.replace("{action}", _STREAMED_GEMINI if streams else "generateContent")
    if not streams or "alt=sse" in url:
        return url
    return f"{url}{'&' if '?' in url else '?'}alt=sse"
