"""The headers that carry a key, by the format that is spoken."""

from collections.abc import Mapping

_ANTHROPIC_VERSION = "2023-06-01"


def credentials(format_name: str, key: str) -> dict[str, str]:
    """Where each format has its keys; none for an empty key.

    Services other than Anthropic look for the key of a Messages call in either of two places.
    """
    if not key:
        return {}
    if format_name == "gemini":
        return {"x-goog-api-key": key}
    bearer = {"authorization": f"Bearer {key}"}
    return {**bearer, "x-api-key": key} if format_name == "anthropic_messages" else bearer


def request_headers(format_name: str, key: str, clients: Mapping[str, str]) -> dict[str, str]:
    """All headers of a POST in a format: the client's own that go with it, and the key."""
    default = (
        {"anthropic-version": _ANTHROPIC_VERSION} if format_name == "anthropic_messages" else {}
    )
    return {
        **default,
        **clients,
        **credentials(format_name, key),
        "content-type": "application/json",
    }
