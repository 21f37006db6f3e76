"""Headers of a channel's own: `{"X-Team": "a", "Api-Key": "{api_key}", "re:^x-trace-": ""}`.

A value may hold `{api_key}`, the channel's key, and `{client_header:Name}`; a header that the
client did not send leaves out the one that is made of it. The names `*` and `re:PATTERN` pass on
what the client sent, but for what says who it is or belongs to its own connection.
"""

import re
from collections.abc import Mapping

import re2

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_VALUE = re.compile(r"[\x20-\x7e\x80-\xff\t]*")
_PLACEHOLDER = re.compile(r"\{(api_key|client_header:([^{}]+))\}")
_PATTERN = re.compile(r"(?:re|regex):(.*)", re.DOTALL)
API_KEY = "{api_key}"
HEADERS_MAX = 50

_OF_A_CONNECTION = frozenset(
    {
        *("accept-encoding", "connection", "content-encoding", "content-length", "expect", "host"),
        *("http2-settings", "keep-alive", "proxy-authenticate", "proxy-authorization"),
        *("proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"),
    }
)
"""RFC 9110, section 7.6.1, and what says how the bytes of this one request are to be read."""
_OF_THE_CLIENT = frozenset(
    {
        *("api-key", "authorization", "content-type", "cookie", "forwarded", "idempotency-key"),
        *("x-api-key", "x-goog-api-key", "x-real-ip"),
    }
)
_OF_THE_CLIENT_PREFIXES = ("sec-websocket-", "x-forwarded-", "x-tollgate-")


def may_be_passed(name: str) -> bool:
    """Whether a client's header may go on to a provider, if a channel wants it."""
    lower = name.lower()
    is_ours = lower in _OF_A_CONNECTION or lower in _OF_THE_CLIENT
    return not is_ours and not lower.startswith(_OF_THE_CLIENT_PREFIXES)


def header_name(text: str) -> str:
    """The name in lower case. Raises ValueError for what is none, or belongs to the connection."""
    name = text.lower()
    if not _NAME.fullmatch(name):
        raise ValueError(f"{text[:80]!r} is no name of a header")
    if name in _OF_A_CONNECTION:
        raise ValueError(f"the header {name} belongs to the connection")
    return name


def check_header(name: str, value: object) -> None:
    """Raises ValueError for what cannot be sent, in words that do not repeat the value."""
    if (pattern := _PATTERN.fullmatch(name)) is not None:
        compiled(pattern[1])
        return
    if name == "*":
        return
    header_name(name)
    if not isinstance(value, str) or not _VALUE.fullmatch(value):
        raise ValueError(f"the value of {name} must be a text that a header can hold")
    for found in _PLACEHOLDER.finditer(value):
        if found[2] is not None and not may_be_passed(header_name(found[2])):
            raise ValueError(f"the client's header {found[2]} is not passed on")


def compiled(pattern: str) -> re2._Regexp:
    """A pattern that takes time in proportion to what it reads. Raises ValueError."""
    try:
        return re2.compile(pattern)
    except re2.error as error:
        raise ValueError(f"the pattern {pattern[:80]!r} cannot be read") from error


_OPEN = "\x00"
"""Stands for a brace that a client sent, so that nothing it sends is taken for a placeholder."""


def literal(sent: str) -> str:
    """What a client sent, in a template."""
    return sent.replace("{", _OPEN)


def templates(given: Mapping[str, str], client: Mapping[str, str]) -> dict[str, str]:
    """The headers to send, by lower-case name; of what they say only the key is still open."""
    found: dict[str, str] = {}
    for name, value in given.items():
        pattern = _PATTERN.fullmatch(name)
        if name == "*" or pattern is not None:
            wanted = None if pattern is None else compiled(pattern[1])
            found |= {
                each: literal(sent)
                for each, sent in client.items()
                if wanted is None or wanted.search(each)
            }
            continue
        text = _filled(value, client)
        if text is not None:
            found[name.lower()] = text
    return found


def with_key(wanted: Mapping[str, str], key: str) -> dict[str, str]:
    """The headers as they are sent."""
    return {name: value.replace(API_KEY, key).replace(_OPEN, "{") for name, value in wanted.items()}


def _filled(value: str, client: Mapping[str, str]) -> str | None:
    missing = False

    def put(found: re.Match[str]) -> str:
        nonlocal missing
        if found[2] is None:
            return found[0]
        sent = client.get(found[2].lower())
        missing |= sent is None
        return literal(sent or "")

    text = _PLACEHOLDER.sub(put, value)
    return None if missing else text
