"""Ends an answer at the client's own limit of tokens, where its vendor takes none so low and was
asked for more. What is billed stays what the provider says: it is paid for all of it.

What the client is told is counted, in the tokenizer of the model as far as that is known; thoughts
that the provider hides cannot be. A vendor's least limit is a few tokens, so a choice is held back
to its end or well beyond the limit, and a stream is cut where a whole answer is.
"""

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from gateway.conversation.parts import Part, Refusal, Text, Thinking, ToolCall
from gateway.conversation.turn import (
    Begun,
    Choice,
    PartBegun,
    PartEnded,
    Stopped,
    TextDelta,
    Turn,
    TurnEvent,
)
from gateway.formats.shared.vendors.accepted import Accepted
from gateway.formats.values import ChatCall, FirstTokens


def limit_to_keep(call: ChatCall, takes: Accepted) -> int | None:
    """The client's own limit, where the vendor is asked for more; None: it keeps to it itself."""
    limit = call.max_output_tokens
    return limit if limit is not None and limit < takes.output_tokens_least else None


class AnswerLimit:
    """A turn up to so many tokens for each choice, whole or event by event."""

    def __init__(self, most_tokens: int, first_tokens: FirstTokens) -> None:
        self._most_tokens = most_tokens
        self._first_tokens = first_tokens
        self._held: dict[int, list[TurnEvent]] = {}
        self._ended: set[int] = set()

    def turn(self, told: Turn) -> Turn:
        """A whole turn."""
        return replace(told, choices=tuple(self._choice(choice) for choice in told.choices))

    def told(self, events: Sequence[TurnEvent]) -> list[TurnEvent]:
        """Events; those of a choice come together."""
        return [told for event in events for told in self._event(event)]

    def _choice(self, choice: Choice) -> Choice:
        """Log probabilities, which are told token by token of the provider's, go with the rest."""
        parts = self._cut(choice.parts)
        return choice if parts is None else Choice(parts=parts, stop="length")

    def _cut(self, parts: Sequence[Part]) -> tuple[Part, ...] | None:
        """The parts up to the limit; None: they are all within it."""
        left_tokens = self._most_tokens
        kept: list[Part] = []
        for part in parts:
            words = _words(part)
            head, tokens = self._first_tokens(words, left_tokens)
            if head != words:
                return (*kept, *_begun(part, head))
            kept.append(part)
            left_tokens -= tokens
        return None

    def _event(self, event: TurnEvent) -> Iterator[TurnEvent]:
        if isinstance(event, Begun):
            yield event
        elif event.choice not in self._ended:
            held = self._held.setdefault(event.choice, [])
            held.append(event)
            if isinstance(event, Stopped) or self._is_behind(held):
                self._ended.add(event.choice)
                yield from self._within(event.choice, self._held.pop(event.choice))

    def _is_behind(self, held: Sequence[TurnEvent]) -> bool:
        """Whether no more words could merge with these into so few tokens."""
        words = "".join(event.text for event in held if isinstance(event, TextDelta))
        return self._first_tokens(words, 2 * self._most_tokens + 1)[0] != words

    def _within(self, choice: int, held: Sequence[TurnEvent]) -> Iterator[TurnEvent]:
        begun = {event.number: event for event in held if isinstance(event, PartBegun)}
        said = dict.fromkeys(begun, "")
        for event in held:
            if isinstance(event, TextDelta) and event.number in said:
                said[event.number] += event.text
        parts = self._cut([_saying(one.part, said[number]) for number, one in begun.items()])
        if parts is None:
            yield from held
            return
        for event, part in zip(begun.values(), parts, strict=False):
            words = _words(part).removeprefix(_words(event.part))
            yield event
            if words:
                yield TextDelta(choice=choice, number=event.number, text=words)
            yield PartEnded(choice=choice, number=event.number)
        yield Stopped(choice=choice, stop="length")


def _words(part: Part) -> str:
    """What of a part is made of tokens, as far as it can be seen."""
    match part:
        case Text(text=text) | Thinking(text=text) | Refusal(text=text):
            return text
        case ToolCall(name=name, arguments=arguments):
            return name + arguments
        case _:
            return ""


def _saying(part: Part, words: str) -> Part:
    """A part with more words."""
    match part:
        case Text(text=text) | Thinking(text=text) | Refusal(text=text):
            return replace(part, text=text + words)
        case ToolCall(arguments=arguments):
            return replace(part, arguments=arguments + words)
        case _:
            return part


def _begun(part: Part, head: str) -> Iterator[Part]:
    """A part of which only the head is told, if that is anything: half a name calls nothing."""
    match part:
        case Text() | Thinking() | Refusal() if head:
            yield replace(part, text=head)
        case ToolCall(name=name) if len(head) > len(name):
            yield replace(part, arguments=head[len(name) :])
        case _:
            return
