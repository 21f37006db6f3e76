"""What a request's head must be before any route sees it, and how it is refused otherwise.

Decisions only: `http_protocol.py` does the reading and the writing. The rules are RFC 9112 (3.2
target and Host, 6.1 and 6.3 framing) without its leniencies, as each leniency is a chance for two
servers in a row to see different requests.
"""

import functools
import json
import re
import urllib.parse
from dataclasses import dataclass
from http import HTTPStatus

from ledger import ids

Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What one connection may take before and between its requests."""

    first_byte_s: float = 10.0
    head_s: float = 10.0
    """From the first byte of a request to the end of its headers."""
    idle_s: float = 60.0
    linger_s: float = 2.0
    """How long a client may go on sending what is no longer read, so that it sees the answer."""
    half_closed_s: float = 10.0
    """How long an answer may take to begin once the client has closed its own direction."""
    write_stall_s: float = 30.0
    """How long a client may leave more than a buffer's worth of its answer unread."""
    head_max_bytes: int = 64 * 1024
    headers_max: int = 200
    url_max_bytes: int = 16 * 1024
    pipelined_max: int = 100
    chunk_overhead_max_bytes: int = 16 * 1024
    """Of chunk extensions and trailers; each byte of the body allows 8 more."""


class Refused(Exception):
    """This request is answered here, and its connection ends."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.request_id = str(ids.charge_id())

    def response(self) -> bytes:
        """The whole answer, in the OpenAI envelope; the format of a route is not known yet."""
        error = {
            "message": self.message,
            "type": "invalid_request_error",
            "param": None,
            "code": self.code,
        }
        body = json.dumps({"error": error}).encode()
        lines = [
            f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}",
            "content-type: application/json; charset=utf-8",
            f"content-length: {len(body)}",
            "cache-control: no-store",
            "connection: close",
            f"x-request-id: {self.request_id}",
        ]
        if self.status == HTTPStatus.METHOD_NOT_ALLOWED:
            lines.append("allow: " + b", ".join(sorted(_METHODS)).decode())
        if self.status != HTTPStatus.REQUEST_TIMEOUT:
            lines.append("x-should-retry: false")
        return "\r\n".join([*lines, "", ""]).encode() + body


def check_request_line(method: bytes, version: str, url: bytes) -> None:
    """Refuse versions, methods and targets that no route here is ever asked with."""
    if version != "1.1" and version != "1.0":
        raise Refused(400, "invalid_http", f"HTTP/{version} is not spoken here.")
    if method not in _METHODS:
        raise Refused(405, "method_not_allowed", f"{method.decode()} is not allowed here.")
    if not url.startswith(b"/"):
        raise Refused(400, "invalid_url", "The request target must be a path.")
    if _PERCENT in url or _HASH in url or (_DOT in url and b"/." in url):
        _check_path(url)


def check_headers(headers: Headers, limits: ConnectionLimits, version: str) -> bool:
    """Whether the body is chunked, once the headers leave neither host nor length open.

    Takes names with an underscore out of `headers`: proxies and applications of the CGI kind
    cannot tell x_y from x-y. That no length is repeated, malformed, or given beside an encoding
    is known before: the parser refuses these by itself.
    """
    if len(headers) > limits.headers_max:
        raise head_too_large()
    host = encoding = None
    is_ambiguous = False
    for name, value in headers:  # a pass like this beats any table: the names are few and new
        if name == b"host":
            host = _only(host, value)
        elif name == b"transfer-encoding":
            encoding = _only(encoding, value)
        elif _UNDERSCORE in name:
            is_ambiguous = True
    if is_ambiguous:
        headers[:] = [header for header in headers if _UNDERSCORE not in header[0]]
    if host is not None or version != "1.0":
        _check_host(host)
    if encoding is not None and (version == "1.0" or encoding.strip().lower() != b"chunked"):
        raise Refused(400, "invalid_http", "The only Transfer-Encoding here is chunked.")
    return encoding is not None


def _only(previous: bytes | None, value: bytes) -> bytes:
    if previous is not None:
        raise Refused(400, "invalid_http", "Host or Transfer-Encoding is given twice.")
    return value


def check_size(headers: Headers, limits: ConnectionLimits) -> None:
    """Refuse a complete head that is too large."""
    if sum(len(name) + len(value) for name, value in headers) > limits.head_max_bytes:
        raise head_too_large()


def head_too_large() -> Refused:
    """The refusal of a head beyond its limits."""
    return Refused(431, "headers_too_large", "The request headers are too large.")


def unparsable(reason: str, data: bytes, *, is_method: bool) -> Refused:
    """The refusal of bytes that the parser does not take, `data` being those it stopped in."""
    if is_method and _METHOD_OF_SOME_KIND.match(data):
        return Refused(501, "method_not_allowed", "The method is not known here.")
    return Refused(400, "invalid_http", f"The request is not valid HTTP: {reason}")


def _check_path(url: bytes) -> None:
    path = urllib.parse.unquote_to_bytes(url.partition(b"?")[0])
    try:
        path.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused(400, "invalid_url", "The path is not UTF-8.") from error
    segments = path.split(b"/")
    if b"#" in url or _CONTROL.search(path) or b"." in segments or b".." in segments:
        raise Refused(400, "invalid_url", "The path is not one that can be served.")


@functools.lru_cache(maxsize=256)
def _check_host(host: bytes | None) -> None:
    if host is None:
        raise Refused(400, "invalid_host", "The Host header is missing.")
    if not _HOST.fullmatch(host):
        raise Refused(400, "invalid_host", "The Host header is malformed.")


# As numbers: looking for one byte is ten times as fast as looking for bytes of length one.
_PERCENT, _DOT, _HASH, _UNDERSCORE = b"%.#_"
_METHODS = frozenset([b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"])
_METHOD_OF_SOME_KIND = re.compile(rb"[A-Za-z-]{1,32} [/*h]")
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_HOST = re.compile(rb"(?:[A-Za-z0-9._-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?[ \t]*")
