"""What the relay asks of a format: read a request, read an answer, write errors. No I/O.

A format is stateless; what one stream needs to remember lives in its `StreamReader`. Formats raise
`gateway.errors` only, and `UnreadableAnswer` for a provider's body that is no answer at all. Where
they believe an answer that is odd they may stumble (`STUMBLES`): `translator` and `stream_reader`
make `UnreadableAnswer` of it, in one place for all formats.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

from gateway.conversation.parts import Media
from gateway.conversation.request import AnswerTerms, Conversation, Reasoning, Written
from gateway.conversation.turn import Turn, TurnEvent
from gateway.errors import GatewayError
from gateway.formats.shared.vendors.accepted import Accepted
from gateway.formats.values import Answer, ChatCall, CountTokens, Piece, Prompt, ServedModel
from gateway.http.lenient_json import UnreadableAnswer as UnreadableAnswer
from gateway.http.raw_members import Edits
from ledger.usage import Usage


class Delivered(Protocol):
    """The text a stream has delivered so far, within bounded memory."""

    def count(self) -> int:
        """Its tokens. Tokenises, so only for when there is no usage."""
        ...


class StreamReader(Protocol):
    """Reads one provider stream; `feed` takes chunks cut anywhere."""

    @property
    def usage(self) -> Usage | None:
        """The provider's last word on usage, or None."""
        ...

    @property
    def anomaly(self) -> str | None:
        """As `Answer.anomaly`, for the last word on usage."""
        ...

    @property
    def service(self) -> str | None:
        """As `Answer.service`, so far."""
        ...

    @property
    def stored_id(self) -> str:
        """As `Answer.stored_id`, so far."""
        ...

    @property
    def stored_items(self) -> tuple[str, ...]:
        """As `Answer.stored_items`, so far."""
        ...

    @property
    def tools(self) -> Usage:
        """As `Answer.tools`, so far."""
        ...

    @property
    def finished(self) -> bool:
        """True once every choice has ended, or the end marker came."""
        ...

    @property
    def saw_content(self) -> bool:
        """True once anything generated has passed."""
        ...

    @property
    def error(self) -> GatewayError | None:
        """What broke the stream, once an `error` piece was given."""
        ...

    @property
    def delivered(self) -> Delivered:
        """What has passed, for an estimate."""
        ...

    def feed(self, chunk: bytes) -> list[Piece]:
        """The pieces this chunk completes; nothing after an `end` or an `error`."""
        ...

    def finish(self) -> list[Piece]:
        """The pieces left at the end of the body, where its last event was not terminated."""
        ...

    def output_tokens_at_least(self) -> int:
        """A running estimate of the output so far, cheap enough to ask at every chunk."""
        ...

    def closing(self, usage: Usage) -> bytes:
        """The end of a stream that ended well, told once `usage` was billed: the end marker, and
        before it what the client still lacks, such as a usage it asked for.

        Raises UnreadableAnswer where what is left cannot be told.
        """
        ...


class EventReader(Protocol):
    """Understands one provider's stream, event by event."""

    def read(self, data: bytes) -> list[TurnEvent]:
        """What an event (the data of it) tells of the turn. Raises UnreadableAnswer, or whatever
        of STUMBLES, for an odd one.
        """
        ...

    def finish(self) -> list[TurnEvent]:
        """What is still to be said once the stream has ended: parts and choices left open."""
        ...


class EventWriter(Protocol):
    """Writes one stream to a client."""

    def write(self, events: Sequence[TurnEvent]) -> bytes:
        """Whole events of the format; may hold back what belongs to the end."""
        ...

    def closing(self, usage: Usage) -> bytes:
        """The end of the stream, with everything that was held back."""
        ...


class ProviderTranslation(Protocol):
    """What it takes to reach providers of this format from any other, by way of
    `gateway.conversation`. Nothing that both can say is lost; what cannot be said is named in
    `Written.losses`, or refused where the request would mean something else without it.
    """

    def request(self, conversation: Conversation, upstream_model: str) -> Written:
        """The request as a provider of this format reads it. Raises InvalidRequest."""
        ...

    def think(self, document: Mapping[str, Any], model: str, reasoning: Reasoning) -> Edits:
        """What makes a request of this format think as its model's name says, and leaves out what
        the model refuses beside it.
        """
        ...

    def lead(self, document: Mapping[str, Any], words: str, before_own: bool) -> dict[str, Any]:
        """The members that give a request of this format a system prompt, where it has none or,
        with `before_own`, in any case.
        """
        ...

    def takes_address(self, media: Media) -> bool:
        """Whether a provider of this format fetches this media from its address by itself, or
        cannot be told such media at all.
        """
        ...

    def turn(self, document: Mapping[str, Any]) -> Turn:
        """The provider's whole answer. Raises UnreadableAnswer, or whatever of STUMBLES."""
        ...

    def reader(self) -> EventReader:
        """For the stream of a provider of this format."""
        ...


class Translation(ProviderTranslation, Protocol):
    """The same, and what it takes to serve clients of this format."""

    kept_alive: bytes
    """What tells a client in a stream that somebody is there, and that its vendor's SDKs skip."""

    def conversation(self, call: ChatCall) -> Conversation:
        """What the client asks for. Raises InvalidRequest for parts nobody could read."""
        ...

    def terms(self, call: ChatCall) -> AnswerTerms:
        """What of it the answer has to keep to. Raises InvalidRequest as `conversation` does."""
        ...

    def tells_media(self, media: Media) -> bool:
        """Whether an answer to a client has a form for what a model made."""
        ...

    def answer(self, call: ChatCall, turn: Turn, usage: Usage) -> bytes:
        """The whole answer for the client."""
        ...

    def writer(self, call: ChatCall) -> EventWriter:
        """For the stream to a client of this format."""
        ...


class Made(NamedTuple):
    """An answer that was written here, with the ids by which its client may name it later."""

    answer_id: str
    item_ids: tuple[str, ...]
    document: dict[str, Any]


@runtime_checkable
class FittingTranslation(Protocol):
    """A format in which a vendor takes less than its clients may say, where their bytes pass."""

    def fit(self, document: Mapping[str, Any], takes: Accepted) -> Edits:
        """What changes in a request of this format."""
        ...


@runtime_checkable
class StoringTranslation(Protocol):
    """A format whose clients name earlier answers, and items of them, by their ids."""

    def made(self, told: bytes) -> Made:
        """What a whole answer is, or the last events of a stream, as the client is told it."""
        ...


class ProviderFormat(Protocol):
    """One format in which providers are asked."""

    @property
    def name(self) -> str:
        """The stem of its file or the name of its folder; stored in events and settings."""
        ...

    @property
    def translation(self) -> ProviderTranslation:
        """How it is translated."""
        ...

    def read_answer(self, body: bytes) -> Answer:
        """The answer that `body` is. Raises UnreadableAnswer, or whatever of STUMBLES."""
        ...

    def stream(self, call: ChatCall, count_tokens: CountTokens) -> StreamReader:
        """A reader for the provider's stream that answers `call`."""
        ...

    def classify_failure(
        self, status: int, headers: Mapping[str, str], body: bytes
    ) -> GatewayError:
        """What a provider's status other than 200 means to our client.

        `headers` is case-insensitive or has lower-case names.
        """
        ...


class Format(ProviderFormat, Protocol):
    """One format in which clients ask, too."""

    @property
    def forwarded_headers(self) -> Sequence[str]:
        """Lower-case names of the client's headers that belong to its request."""
        ...

    @property
    def translation(self) -> Translation:
        """How it is translated."""
        ...

    def read_request(self, document: dict[str, Any], body: bytes) -> ChatCall:
        """The call that `body`, parsed as `document`, asks for. Raises InvalidRequest."""
        ...

    def prompt(self, call: ChatCall) -> Prompt:
        """What of the call is input, erring upwards."""
        ...

    def provider_body(self, call: ChatCall, upstream_model: str) -> bytes:
        """The client's bytes with the declared edits: model, a request for usage, stripped fields.

        Every other top-level value keeps its bytes; with nothing to edit this is `call.body`.
        """
        ...

    def limit_members(self, call: ChatCall, tokens: int) -> Mapping[str, object]:
        """The top-level members that set a limit of output tokens (for each choice)."""
        ...

    def as_stream(self, call: ChatCall, body: bytes) -> bytes:
        """A whole answer as the stream that was asked for, its end included.

        Raises UnreadableAnswer, or whatever of STUMBLES, for what has no such form.
        """
        ...

    def told_models(self, models: Sequence[ServedModel]) -> dict[str, object]:
        """The list of models."""
        ...

    def told_model(self, model: ServedModel) -> dict[str, object]:
        """One model."""
        ...

    def error_body(
        self, error: GatewayError, request_id: str
    ) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        """Status, headers and body of an error in this format."""
        ...

    def stream_error(self, error: GatewayError) -> bytes:
        """The event that tells of an error inside a stream; no end marker follows it."""
        ...
