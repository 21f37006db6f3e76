"""A streamed response as the events of a turn in no format.

OpenAI tells everything several times: as an item and its parts begin, in deltas, when each of them
is done, and in the last event. Others leave out what they like of it, so parts begin on demand, and
what deltas did not bring is taken from whatever tells it later.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from gateway.conversation.arguments import as_text
from gateway.conversation.parts import Part, Refusal, Text, Thinking, ToolCall
from gateway.conversation.turn import (
    Begun,
    CitationDelta,
    PartBegun,
    PartEnded,
    SignatureDelta,
    Stopped,
    StopReason,
    TextDelta,
    TurnEvent,
)
from gateway.formats.openai_responses.answers.turn import answer_parts, created_s, stop_of
from gateway.formats.openai_responses.vocabulary import NAME
from gateway.http.lenient_json import read_object

_CALLS = {
    "response.function_call_arguments": ("function_call", "arguments"),
    "response.custom_tool_call_input": ("custom_tool_call", "input"),
}
_WORDS: Mapping[str, tuple[str, Part]] = {
    "response.output_text": ("message", Text(text="")),
    "response.refusal": ("message", Refusal(text="")),
    "response.reasoning_summary_text": ("reasoning", Thinking(text="")),
    "response.reasoning_text": ("reasoning", Thinking(text="")),
}


@dataclass(slots=True)
class _Told:
    """A part that the client was told of, and how much of it."""

    number: int
    characters: int = 0
    citations: int = 0
    is_open: bool = True


@dataclass(slots=True)
class _Item:
    """An item of the output. `held`: of a call whose name nobody told yet."""

    kind: str
    own_id: str = ""
    parts: dict[int, _Told] = field(default_factory=dict)
    held: str = ""
    document: Mapping[str, Any] = field(default_factory=dict)
    is_done: bool = False


class ResponseEventReader:
    """Understands a provider's events; see `gateway.formats.contract.EventReader`."""

    def __init__(self) -> None:
        self._has_begun = False
        self._numbered = 0
        self._items: list[_Item] = []
        self._at: dict[int | str, _Item] = {}
        """The latest item of a place: an index, or an id where none is told."""
        self._has_called = False
        self._stop: tuple[StopReason, str] | None = None

    def read(self, data: bytes) -> list[TurnEvent]:
        """What one event tells."""
        told = read_object(data)
        return list(self._read(str(told.get("type") or ""), told))

    def finish(self) -> list[TurnEvent]:
        """End what is open."""
        ended = [event for item in self._items for event in self._complete(item, item.document)]
        stop, word = self._stop or stop_of({}, self._has_called)
        return [*ended, Stopped(choice=0, stop=stop, stop_word=word)]

    def _read(self, kind: str, told: Mapping[str, Any]) -> Iterator[TurnEvent]:
        match kind:
            case "response.created" | "response.in_progress":
                yield from self._begin(told.get("response") or {})
            case "response.completed" | "response.incomplete":
                yield from self._last(told.get("response") or {})
            case "response.output_item.added":
                yield from self._added(told, told.get("item") or {})
            case "response.output_item.done":
                yield from self._item_done(told, told.get("item") or {})
            case "response.content_part.done":
                yield from self._content_done(told, told.get("part") or {})
            case "response.output_text.annotation.added":
                yield from self._cited(told)
            case "response.reasoning_summary_part.added" if told.get("summary_index"):
                yield from self._more(told, "response.reasoning_summary_text", "\n\n")
            case _:
                yield from self._generated(told, *kind.rpartition(".")[::2])

    def _generated(self, told: Mapping[str, Any], name: str, happened: str) -> Iterator[TurnEvent]:
        """More of words, thoughts or arguments, or the whole of them."""
        if name in _CALLS:
            yield from self._arguments(told, name, happened == "delta")
        elif name in _WORDS and happened == "delta":
            yield from self._more(told, name, told.get("delta") or "")
        elif name in _WORDS and happened == "done":
            yield from self._words_done(told, name)

    def _begin(self, response: Mapping[str, Any]) -> Iterator[TurnEvent]:
        if self._has_begun:
            return
        self._has_begun = True
        yield Begun(
            id=str(response.get("id") or ""),
            model=str(response.get("model") or ""),
            created_s=created_s(response),
        )

    # ------------------------------------------------------------------ items

    def _item(self, told: Mapping[str, Any], kind: str, is_new: bool = True) -> _Item | None:
        """The item that an event is of, made where there is none. One that is done gets no more: it
        gives way to another, or to nothing where the event is not `is_new`.
        """
        place = _place(told)
        item = self._at.get(place)
        if item is None or (item.is_done and is_new):
            item = self._at[place] = _Item(kind)
            self._items.append(item)
        return None if item.is_done else item

    def _added(self, told: Mapping[str, Any], document: Mapping[str, Any]) -> Iterator[TurnEvent]:
        kind, own_id = str(document.get("type") or "message"), _text(document.get("id"))
        known = self._at.get(_place(told))
        if known is not None and known.document and known.own_id != own_id:
            yield from self._complete(known, known.document)  # a second one in its place
        item = self._item(told, kind)
        assert item is not None
        item.kind, item.own_id, item.document = kind, own_id, document
        if kind == "reasoning":
            yield from self._ensured(item, 0, Thinking(text=""))
        elif kind in ("function_call", "custom_tool_call") and document.get("name"):
            (part,) = answer_parts(document)
            yield from self._called(item, part)

    def _item_done(
        self, told: Mapping[str, Any], document: Mapping[str, Any]
    ) -> Iterator[TurnEvent]:
        item = self._item(told, str(document.get("type") or "message"), is_new=False)
        if item is not None:
            yield from self._complete(item, document)

    def _last(self, response: Mapping[str, Any]) -> Iterator[TurnEvent]:
        """The last event repeats everything: what nobody told until now is told."""
        yield from self._begin(response)
        output = response.get("output")
        documents = [one for one in output if type(one) is dict] if type(output) is list else []
        for item, document in self._matched(documents):
            yield from self._complete(item, document)
        for item in list(self._items):
            yield from self._complete(item, item.document)
        self._stop = stop_of(response, self._has_called)

    def _matched(self, documents: Sequence[dict[str, Any]]) -> list[tuple[_Item, dict[str, Any]]]:
        """Each item of the whole with the one that was told: by its id, its place, or its kind, as
        ids and places are not the same in all events of all vendors.
        """
        left, found = list(self._items), {}
        for by in (_has_id, self._has_place, _has_kind):
            for place, document in enumerate(documents):
                matching = (item for item in left if by(item, place, document))
                item = next(matching, None) if place not in found else None
                if item is not None:
                    left.remove(item)
                    found[place] = item
        matched = []
        for place, document in enumerate(documents):
            item = found.get(place)
            if item is None:
                item = _Item(str(document.get("type") or "message"))
                self._items.append(item)
            matched.append((item, document))
        return matched

    def _has_place(self, item: _Item, place: int, document: Mapping[str, Any]) -> bool:
        return self._at.get(place) is item and _has_kind(item, place, document)

    def _complete(self, item: _Item, document: Mapping[str, Any]) -> Iterator[TurnEvent]:
        """Tell what is still untold of an item, and end it."""
        if item.is_done:
            return
        for place, part in enumerate(answer_parts(document) if document else ()):
            match part:
                case Text() | Refusal():
                    yield from self._rest(item, place, replace(part, text=""), part.text)
                    yield from self._citations(item, place, part)
                case ToolCall():
                    yield from self._called(item, part)
                    yield from self._rest(item, 0, part, part.arguments)
                case Thinking():
                    yield from self._rest(item, 0, Thinking(text=""), part.text)
                    yield from self._signed(item, part)
                case _:
                    yield from self._ensured(item, place, part)
        if item.held:  # a call that nobody named
            yield from self._called(item, ToolCall(id="", name="", arguments=""))
        for told in item.parts.values():
            yield from self._ended(told)
        item.is_done = True

    # ------------------------------------------------------------------ parts

    def _content_done(
        self, told: Mapping[str, Any], document: Mapping[str, Any]
    ) -> Iterator[TurnEvent]:
        if document.get("type") not in ("output_text", "refusal"):
            return
        item = self._item(told, "message", is_new=False)
        for part in answer_parts({"type": "message", "content": [document]}):
            if item is not None and isinstance(part, Text | Refusal):
                place = told.get("content_index") or 0
                yield from self._rest(item, place, replace(part, text=""), part.text)
                yield from self._citations(item, place, part)
                yield from self._ended(item.parts[place])

    def _more(self, told: Mapping[str, Any], name: str, text: str) -> Iterator[TurnEvent]:
        """A delta of words or thoughts; all thoughts of an item are one part."""
        kind, part = _WORDS[name]
        item = self._item(told, kind)
        place = 0 if kind == "reasoning" else told.get("content_index") or 0
        if item is not None and text:
            yield from self._ensured(item, place, part)
            yield from self._said(item.parts[place], text)

    def _words_done(self, told: Mapping[str, Any], name: str) -> Iterator[TurnEvent]:
        kind, part = _WORDS[name]
        item = self._item(told, kind, is_new=False)
        whole = told.get("refusal") if isinstance(part, Refusal) else told.get("text")
        # Of several thoughts of an item, which one this is the whole of cannot be told apart.
        if item is not None and whole and not (kind == "reasoning" and told.get("summary_index")):
            place = 0 if kind == "reasoning" else told.get("content_index") or 0
            yield from self._rest(item, place, part, whole)

    def _arguments(self, told: Mapping[str, Any], name: str, is_delta: bool) -> Iterator[TurnEvent]:
        kind, word = _CALLS[name]
        item = self._item(told, kind, is_new=is_delta)
        if item is None:
            return
        text = as_text(told.get("delta") if is_delta else told.get(word))
        begun = item.parts.get(0)
        if begun is None:
            item.held = item.held + text if is_delta else max(item.held, text, key=len)
        elif is_delta:
            yield from self._said(begun, text)
        else:
            yield from self._said(begun, text[begun.characters :])

    def _called(self, item: _Item, part: Part) -> Iterator[TurnEvent]:
        """Begin a call, and tell what was held of it."""
        assert isinstance(part, ToolCall)
        self._has_called = True
        yield from self._ensured(item, 0, replace(part, arguments=""))
        held, item.held = item.held, ""
        yield from self._said(item.parts[0], held)

    def _cited(self, told: Mapping[str, Any]) -> Iterator[TurnEvent]:
        item = self._item(told, "message", is_new=False)
        part = item.parts.get(told.get("content_index") or 0) if item is not None else None
        if part is not None:
            yield self._citation(part, told.get("annotation"))

    def _citations(self, item: _Item, place: int, part: Text | Refusal) -> Iterator[TurnEvent]:
        cited = part.citations if isinstance(part, Text) else ()
        told = item.parts[place]
        for citation in cited[told.citations :]:
            yield self._citation(told, citation)

    def _citation(self, told: _Told, citation: object) -> CitationDelta:
        told.citations += 1
        return CitationDelta(choice=0, number=told.number, citation=citation, citing=NAME)

    def _signed(self, item: _Item, thought: Thinking) -> Iterator[TurnEvent]:
        if thought.signature:
            yield SignatureDelta(
                choice=0,
                number=item.parts[0].number,
                signature=thought.signature,
                signed_by=thought.signed_by,
            )

    def _rest(self, item: _Item, place: int, part: Part, whole: str) -> Iterator[TurnEvent]:
        """What of a whole text was not told yet."""
        yield from self._ensured(item, place, part)
        told = item.parts[place]
        if told.is_open:
            yield from self._said(told, whole[told.characters :])

    def _ensured(self, item: _Item, place: int, part: Part) -> Iterator[TurnEvent]:
        if place not in item.parts:
            item.parts[place] = _Told(self._numbered)
            self._numbered += 1
            yield PartBegun(choice=0, number=item.parts[place].number, part=part)

    def _said(self, told: _Told, text: str) -> Iterator[TurnEvent]:
        if text and told.is_open:
            told.characters += len(text)
            yield TextDelta(choice=0, number=told.number, text=text)

    def _ended(self, told: _Told) -> Iterator[TurnEvent]:
        if told.is_open:
            told.is_open = False
            yield PartEnded(choice=0, number=told.number)


def _place(told: Mapping[str, Any]) -> int | str:
    """Where an event's item is: its index, else its id."""
    index = told.get("output_index")
    if type(index) is int:
        return index
    item = told.get("item")
    return _text(told.get("item_id")) or _text(item.get("id") if type(item) is dict else None) or 0


def _text(value: object) -> str:
    return value if type(value) is str else ""


def _has_id(item: _Item, place: int, document: Mapping[str, Any]) -> bool:  # noqa: ARG001 - one of several
    return bool(item.own_id) and item.own_id == document.get("id")


def _has_kind(item: _Item, place: int, document: Mapping[str, Any]) -> bool:  # noqa: ARG001 - one of several
    return item.kind == str(document.get("type") or "message")
