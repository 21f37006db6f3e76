"""Between a client's format and a provider's: the same, and bytes pass; another, and everything is
translated by way of `gateway.conversation`.

The provider's own format always reads its answers, so that what is billed does not depend on the
client.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, Protocol

import msgspec
from msgspec.structs import replace

from gateway.conversation.call_ids import CallIds
from gateway.conversation.media_in_words import MediaInWords
from gateway.conversation.reasoning_suffixes import Suffix
from gateway.conversation.request import Conversation, Written
from gateway.conversation.thoughts_as_text import ThoughtsAsText, turn_with_thoughts_as_text
from gateway.conversation.turn import Turn
from gateway.conversation.well_formed import checked_turn
from gateway.errors import AnswerFailed, GatewayError, InvalidRequest
from gateway.formats.contract import (
    FittingTranslation,
    Format,
    ProviderFormat,
    ProviderTranslation,
    StreamReader,
    UnreadableAnswer,
)
from gateway.formats.shared.retelling import Change, Retelling
from gateway.formats.shared.vendors.accepted import accepted
from gateway.formats.shared.vendors.answer_limit import AnswerLimit
from gateway.formats.shared.vendors.fitting import fitted
from gateway.formats.shared.vendors.stop_sequences import StopSequences
from gateway.formats.shared.vendors.tool_names import ClientNames
from gateway.formats.values import Answer, ChatCall, CountTokens, FirstTokensOf
from gateway.http.lenient_json import STUMBLES, read_object
from gateway.http.raw_members import Edits, edited
from gateway.media.addressed import takes_nothing, to_fetch, with_bytes
from ledger.streams.routes import Shaping
from ledger.usage import Usage

_encode = msgspec.json.encode
_PLAIN = Shaping()
_NO_EDITS = Edits()


class Whole(msgspec.Struct, frozen=True):
    """A whole answer: what is billed, the provider's bytes, and its turn where it is translated."""

    answer: Answer
    body: bytes
    turn: Turn | None = None


class Asking(msgspec.Struct, frozen=True):
    """What a candidate is asked for besides the call: the model by the provider's own name and how
    it shall think; `words`, the channel's system prompt, `before_own` where the client has one.
    """

    suffix: Suffix
    words: str = ""
    before_own: bool = False
    takes_addresses: bool = True
    """Whether the provider fetches media from addresses, as far as its format can say them."""
    vendor: str = ""
    """The type of the channel, by which `shared.vendors.accepted` knows what is taken."""


class Translator(Protocol):
    """How one client's call reaches one provider, and the answer the client."""

    retells: bool
    """Whether answers are written here, under ids that no provider knows."""

    def outgoing(self, call: ChatCall, asking: Asking) -> "Outgoing":
        """What is sent.

        Raises InvalidRequest for what the provider's format cannot say, MediaNeeded for what must
        be in `call.fetched` first.
        """
        ...

    def whole(self, body: bytes) -> Whole:
        """A provider's whole answer. Raises UnreadableAnswer."""
        ...

    def told(self, call: ChatCall, whole: Whole, usage: Usage) -> bytes:
        """The whole answer for the client, as a stream if that was asked for.

        Raises UnreadableAnswer for what has no such form.
        """
        ...

    def stream(self, call: ChatCall, count_tokens: CountTokens) -> StreamReader:
        """A reader for the provider's stream; its pieces are the client's."""
        ...

    def read_answer(self, body: bytes) -> Answer:
        """What a body tells, whatever its status: usage too. Raises UnreadableAnswer."""
        ...

    def classify_failure(
        self, status: int, headers: Mapping[str, str], body: bytes
    ) -> GatewayError:
        """What a provider's status other than 200 means."""
        ...


class Outgoing(msgspec.Struct, frozen=True):
    """The bytes for a provider, the client's headers that go with them, and what was lost."""

    body: bytes
    headers: Mapping[str, str]
    losses: tuple[str, ...] = ()


def written_for(
    provider: ProviderFormat, conversation: Conversation, model: str, vendor: str = ""
) -> Written:
    """The request as a vendor reads it. Raises InvalidRequest."""
    taken, losses = fitted(conversation, accepted(vendor, provider.name, model))
    written = provider.translation.request(taken, model)
    return Written(
        document=written.document, losses=tuple(dict.fromkeys((*losses, *written.losses)))
    )


class PassingThrough:
    """Both sides speak one format."""

    retells = False

    def __init__(self, own_format: Format) -> None:
        self._format = own_format
        translation = own_format.translation
        # Asked once: to ask it of a protocol costs more than all the rest of passing through.
        self._fitting = translation if isinstance(translation, FittingTranslation) else None
        self.read_answer = partial(_answer, own_format)
        self.classify_failure = own_format.classify_failure
        self.stream = own_format.stream

    def outgoing(self, call: ChatCall, asking: Asking) -> Outgoing:
        """The client's bytes but for the declared edits; written anew with media put in."""
        if not asking.takes_addresses and self._names_media(call):
            written = Translating(self._format, self._format, False).outgoing(call, asking)
            return replace(written, headers=call.headers)
        body = self._format.provider_body(call, asking.suffix.model)
        edits = self._edits(call.document, asking)
        if not edits:
            return Outgoing(body, call.headers)
        return Outgoing(edited(body, edits.replaced, edits.dropped), call.headers, edits.lost)

    def _edits(self, document: Mapping[str, Any], asking: Asking) -> Edits:
        """What the vendor does not take, and then what the channel and the model's name change."""
        fit = _NO_EDITS
        if self._fitting is not None:
            takes = accepted(asking.vendor, self._format.name, asking.suffix.model)
            fit = self._fitting.fit(document, takes)
        fitted_document = fit.of(document) if fit else document
        shaped = _shaped(self._format.translation, fitted_document, asking)
        return fit if shaped is None else fit.and_then(shaped)

    def _names_media(self, call: ChatCall) -> bool:
        return bool(to_fetch(self._format.translation.conversation(call), takes_nothing))

    def whole(self, body: bytes) -> Whole:
        """The provider's bytes, read only for what they cost."""
        return Whole(_answer(self._format, body), body)

    def told(self, call: ChatCall, whole: Whole, usage: Usage) -> bytes:  # noqa: ARG002 - told already
        """The provider's bytes."""
        return _as_stream(self._format, call, whole.body) if call.stream else whole.body


class Translating:
    """The client speaks one format, the provider another."""

    retells = True

    def __init__(
        self,
        client: Format,
        provider: ProviderFormat,
        tells_thoughts_as_text: bool,
        first_tokens: FirstTokensOf | None = None,
    ) -> None:
        self._client = client
        self._provider = provider
        self._tells_thoughts_as_text = tells_thoughts_as_text
        self._first_tokens = first_tokens
        self.read_answer = partial(_answer, provider)
        self.classify_failure = provider.classify_failure

    def outgoing(self, call: ChatCall, asking: Asking) -> Outgoing:
        """The request in the provider's format. Raises InvalidRequest, also for a member deep
        within that is not of the type its name says: not all of them are looked at before.
        """
        try:
            written = self._written(call, asking)
            edits = _shaped(self._provider.translation, written.document, asking) or _NO_EDITS
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InvalidRequest(
                "The request holds something that is not of the type its name says."
            ) from error
        losses = (*written.losses, *edits.lost)
        return Outgoing(_encode(edits.of(written.document)), {}, losses)

    def _written(self, call: ChatCall, asking: Asking) -> Written:
        translation = self._provider.translation
        takes = translation.takes_address if asking.takes_addresses else takes_nothing
        conversation = with_bytes(self._client.translation.conversation(call), call.fetched, takes)
        return written_for(self._provider, conversation, asking.suffix.model, asking.vendor)

    def whole(self, body: bytes) -> Whole:
        """The provider's answer, understood."""
        answer = _answer(self._provider, body)
        if answer.error is not None:
            return Whole(answer, body)
        try:
            turn = checked_turn(self._provider.translation.turn(read_object(body)))
            turn = CallIds().turn(turn)
        except AnswerFailed as failed:
            return Whole(replace(answer, error=failed), body)
        except STUMBLES as error:
            raise UnreadableAnswer("the answer is not what its format says") from error
        if self._tells_thoughts_as_text:
            turn = turn_with_thoughts_as_text(turn)
        return Whole(answer, body, turn)

    def told(self, call: ChatCall, whole: Whole, usage: Usage) -> bytes:
        """The turn in the client's format, with the usage that is billed."""
        assert whole.turn is not None
        terms = self._client.translation.terms(call)
        turn = StopSequences(terms.stops).turn(ClientNames(terms.tools).turn(whole.turn))
        limit = self._limit(call)
        turn = turn if limit is None else limit.turn(turn)
        turn = MediaInWords(self._client.translation.tells_media).turn(turn)
        try:
            body = self._client.translation.answer(call, turn, usage)
        except STUMBLES as error:
            raise UnreadableAnswer("the answer cannot be told in another format") from error
        return _as_stream(self._client, call, body) if call.stream else body

    def stream(self, call: ChatCall, count_tokens: CountTokens) -> StreamReader:
        """The provider's stream, retold event by event."""
        # The provider is asked for its usage in any case; whether the client is told is its own.
        asked = replace(call, wants_usage=True)
        terms = self._client.translation.terms(call)
        changes: list[Change] = [
            CallIds().told,
            ClientNames(terms.tools).told,
            StopSequences(terms.stops).told,
            MediaInWords(self._client.translation.tells_media).told,
        ]
        limit = self._limit(call)
        if limit is not None:
            changes.append(limit.told)
        if self._tells_thoughts_as_text:
            changes.append(ThoughtsAsText().told)
        return Retelling(
            self._provider.stream(asked, count_tokens),
            self._provider.translation.reader(),
            self._client.translation.writer(call),
            changes,
            self._client.translation.kept_alive,
        )

    def _limit(self, call: ChatCall) -> AnswerLimit | None:
        if call.told_tokens_most is None or self._first_tokens is None:
            return None
        return AnswerLimit(call.told_tokens_most, partial(self._first_tokens, call.model))


class Rewriting(Translating):
    """Both sides speak one format, and the answer is written anew all the same."""

    def __init__(self, own_format: Format, tells_thoughts_as_text: bool) -> None:
        super().__init__(own_format, own_format, tells_thoughts_as_text)
        self._passing = PassingThrough(own_format)

    def outgoing(self, call: ChatCall, asking: Asking) -> Outgoing:
        """The client's bytes but for the declared edits."""
        return self._passing.outgoing(call, asking)


class Translators:
    """How a client of one format reaches providers of each. Without `first_tokens` answers are told
    as long as they come.
    """

    def __init__(
        self,
        client: Format,
        formats: Mapping[str, ProviderFormat],
        first_tokens: FirstTokensOf | None = None,
    ) -> None:
        self._client = client
        self._formats = formats
        self._first_tokens = first_tokens
        self._made: dict[tuple[str, bool, bool], Translator] = {}

    def to(self, provider: str, shaping: Shaping = _PLAIN) -> Translator:
        """To a provider that is asked in a format, over a channel that shapes answers."""
        known = (provider, shaping.force_format, shaping.thinking_to_content)
        if known not in self._made:
            self._made[known] = self._made_for(*known)
        return self._made[known]

    def _made_for(
        self, provider: str, is_rewritten: bool, tells_thoughts_as_text: bool
    ) -> Translator:
        if provider != self._client.name:
            as_text, first_tokens = tells_thoughts_as_text, self._first_tokens
            return Translating(self._client, self._formats[provider], as_text, first_tokens)
        if is_rewritten or tells_thoughts_as_text:
            return Rewriting(self._client, tells_thoughts_as_text)
        return PassingThrough(self._client)


def _answer(provider: ProviderFormat, body: bytes) -> Answer:
    """What a provider's whole answer is. Raises UnreadableAnswer, whatever is odd about it."""
    try:
        return provider.read_answer(body)
    except STUMBLES as error:
        raise UnreadableAnswer("the answer is not what its format says") from error


def _as_stream(client: Format, call: ChatCall, body: bytes) -> bytes:
    """A whole answer as the stream that was asked for. Raises UnreadableAnswer."""
    try:
        return client.as_stream(call, body)
    except STUMBLES as error:
        raise UnreadableAnswer("the answer has no form as a stream") from error


def _shaped(
    translation: ProviderTranslation, document: Mapping[str, Any], asking: Asking
) -> Edits | None:
    """What the channel and the model's name change in a request; None: nothing."""
    suffix = asking.suffix
    if not (asking.words or suffix.reasoning or suffix.members):
        return None
    edits = Edits()
    if suffix.reasoning is not None:
        edits = translation.think(document, suffix.model, suffix.reasoning)
    if asking.words:
        edits = edits.and_set(translation.lead(document, asking.words, asking.before_own))
    return edits.and_set(suffix.members)
