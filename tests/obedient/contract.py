"""What was asked and what the model said, in no format, and what a format must be able to do."""

import base64
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


class IllFormed(Exception):
    """A provider would refuse this with status 400."""


@dataclass(frozen=True, slots=True)
class Call:
    """The model calls a tool."""

    id: str
    name: str
    arguments: dict[str, Any]
    is_custom: bool = False
    """It takes plain text: the one argument `input`."""


@dataclass(frozen=True, slots=True)
class Result:
    """What the tool answered: words, and pictures as `picture` names them."""

    call_id: str
    text: str
    pictures: tuple[str, ...] = ()


@dataclass
class Asked:
    """A request, understood. `pictures` as `picture` names them, or their addresses."""

    document: dict[str, Any]
    is_stream: bool
    instructions: str = ""
    texts: list[str] = field(default_factory=list)
    pictures: list[str] = field(default_factory=list)
    tools: dict[str, dict[str, Any]] = field(default_factory=dict)
    descriptions: dict[str, str] = field(default_factory=dict)
    customs: set[str] = field(default_factory=set)
    """The tools that take plain text."""
    calls: list[Call] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    """What signs the thoughts that came back, or their words where nothing does."""
    schema: dict[str, Any] | None = None
    must_call: bool = False
    """One of the tools, or the one that is `forced`."""
    forced: str | None = None

    @property
    def marker(self) -> str:
        """The first word of the first text: by it a test finds its request again."""
        return next((text.split()[0] for text in self.texts if text.strip()), "")


@dataclass(frozen=True, slots=True)
class Figures:
    """Tokens that the provider counts, apart from each other."""

    fresh: int
    cached: int
    made: int
    thought: int


@dataclass(frozen=True, slots=True)
class Said:
    """The model's turn."""

    number: int
    thought: str
    text: str
    calls: tuple[Call, ...]
    figures: Figures


class ServedFormat(Protocol):
    """How a provider of one format reads and answers."""

    def read(self, path: str, document: dict[str, Any]) -> Asked:
        """The request. Raises IllFormed for what such a provider would refuse."""
        ...

    def whole(self, said: Said) -> dict[str, Any]:
        """The body of an answer."""
        ...

    def events(self, said: Said) -> Iterable[bytes]:
        """The server-sent events of a streamed answer."""
        ...

    def failure(self, status: int, message: str) -> dict[str, Any]:
        """The body of an error."""
        ...


def picture(media_type: str, data: str) -> str:
    """What identifies an image that came in base64: its type and the digest of its bytes."""
    digest = hashlib.sha256(base64.b64decode(data, validate=True)).hexdigest()
    return f"{media_type} {digest[:12]}"


def picture_at(url: str) -> str:
    """An image's address, or what identifies it if it is the image itself."""
    if not url.startswith("data:"):
        return url
    media_type, comma, data = url.removeprefix("data:").partition(";base64,")
    require(bool(comma), "a data URL without base64")
    return picture(media_type, data)


def require(holds: bool, otherwise: str) -> None:
    """Raises IllFormed."""
    if not holds:
        raise IllFormed(otherwise)


def require_answered(called: Iterable[Call], results: Iterable[Result]) -> None:
    """Every call has one result, and every result a call. Raises IllFormed."""
    calls = sorted(call.id for call in called)
    answered = sorted(result.call_id for result in results)
    require(calls == answered, f"calls {calls} are answered by {answered}")


def halves(text: str) -> tuple[str, str]:
    """A text in the two pieces in which it is streamed."""
    middle = (len(text) + 1) // 2
    return text[:middle], text[middle:]


def without(told: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """The members but for these."""
    return {name: value for name, value in told.items() if name not in names}
