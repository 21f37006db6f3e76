"""A small HTTP client for tests: it repairs nothing, hides nothing and can leave at any moment."""

import contextlib
import http.client
import json
import socket
import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

MESSAGES = [{"role": "user", "content": "one two three four five six"}]
CHAT = "/v1/chat/completions"


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:  # noqa: ANN401 - JSON
        return json.loads(self.body)

    @property
    def request_id(self) -> str:
        return self.headers["x-request-id"]

    @property
    def code(self) -> str | None:
        """The code in OpenAI's error envelope, whose shape is checked on the way."""
        error = self.json()["error"]
        assert set(error) == {"message", "type", "param", "code"}, error
        code: str | None = error["code"]
        return code

    @property
    def frames(self) -> list[bytes]:
        """The data of the server-sent events in the body."""
        return frames_of(self.body)


@dataclass(slots=True)
class LiveStream:
    """An answer on its way; `read_until` takes what has come so far."""

    connection: http.client.HTTPConnection
    response: http.client.HTTPResponse
    seen: bytearray = field(default_factory=bytearray)

    @property
    def request_id(self) -> str:
        return self.response.headers["x-request-id"]

    def read_until(self, mark: bytes) -> bytes:
        while mark not in self.seen:
            piece = self.response.read1(65_536)
            assert piece, f"it ended before {mark!r}: {self.seen!r}"
            self.seen += piece
        return bytes(self.seen)

    def read_all(self) -> bytes:
        """All there is; what a broken connection left of it."""
        with contextlib.suppress(http.client.IncompleteRead, ConnectionError):
            while piece := self.response.read1(65_536):
                self.seen += piece
        return bytes(self.seen)

    def leave(self) -> None:
        """Reset the connection."""
        linger = struct.pack("ii", 1, 0)
        self.response.fp.raw._sock.setsockopt(  # type: ignore[attr-defined]
            socket.SOL_SOCKET, socket.SO_LINGER, linger
        )
        self.response.close()
        self.connection.close()


@dataclass(frozen=True, slots=True)
class Client:
    """Calls one address with one key, each call on a connection of its own."""

    port: int
    key: str = ""
    prefix: str = ""
    timeout_s: float = 30.0

    def call(
        self,
        method: str,
        path: str,
        content: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send `content` as JSON; the whole answer."""
        with contextlib.closing(self._connect()) as connection:
            response = self._send(connection, method, path, content, headers)
            body = response.read()
            return Answer(response.status, _lower(response.getheaders()), body)

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        return self.call("GET", path, headers=headers)

    def chat(
        self,
        model: str,
        *,
        echo: str | None = None,
        headers: Mapping[str, str] | None = None,
        **fields: object,
    ) -> Answer:
        """A chat completion; `echo` steers the echo provider, `fields` go into the request."""
        return self.call("POST", CHAT, chat_request(model, echo, fields), headers)

    @contextlib.contextmanager
    def stream(
        self, model: str, *, echo: str | None = None, **fields: object
    ) -> Iterator[LiveStream]:
        """A streamed chat completion that the caller reads as it likes.

        As every SDK does, it comes again where the gateway asks for that: on a machine that stands
        still for a second, the ledger has not answered in time.
        """
        content = chat_request(model, echo, {"stream": True, **fields})
        for is_last in (False, False, True):
            with contextlib.closing(self._connect()) as connection:
                response = self._send(connection, "POST", CHAT, content, None)
                if response.status == 503 and not is_last:
                    time.sleep(float(response.headers["retry-after"]))
                    continue
                assert response.status == 200, response.read()
                yield LiveStream(connection, response)
                return

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=self.timeout_s)

    def _send(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        content: object,
        headers: Mapping[str, str] | None,
    ) -> http.client.HTTPResponse:
        sent = {"authorization": f"Bearer {self.key}"} if self.key else {}
        body = None
        if content is not None:
            body = json.dumps(content).encode()
            sent["content-type"] = "application/json"
        connection.request(method, self.prefix + path, body, {**sent, **(headers or {})})
        return connection.getresponse()


def chat_request(model: str, echo: str | None, fields: Mapping[str, object]) -> dict[str, Any]:
    """A request's document."""
    metadata = {} if echo is None else {"metadata": {"echo": echo}}
    return {"model": model, "messages": MESSAGES, **metadata, **fields}


def frames_of(body: bytes) -> list[bytes]:
    """The data of each server-sent event."""
    blocks = body.replace(b"\r\n", b"\n").split(b"\n\n")
    return [block.removeprefix(b"data:").strip() for block in blocks if block.startswith(b"data:")]


def _lower(headers: Sequence[tuple[str, str]]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers}
