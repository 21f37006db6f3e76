"""Messages, and the order of them, as a vendor takes them."""

from msgspec.structs import replace

from gateway.conversation.parts import Media, Part, Text, Thinking, ToolCall, ToolResult
from gateway.conversation.request import Conversation, Message
from gateway.formats.shared.vendors.accepted import Accepted
from gateway.formats.shared.vendors.billing_line import NAME as BILLING_LINE
from gateway.formats.shared.vendors.billing_line import without_billing_line
from gateway.formats.shared.vendors.fitted import Fitted, message_with, with_parts


def instructions(conversation: Conversation, takes: Accepted) -> Fitted:
    """Without what only Anthropic reads in them."""
    if takes.has_billing_line or not conversation.messages:
        return conversation, []
    first = conversation.messages[0]
    parts = tuple(
        replace(part, text=without_billing_line(part.text)) if isinstance(part, Text) else part
        for part in first.parts
    )
    if first.role != "system" or parts == first.parts:
        return conversation, []
    parts = tuple(part for part in parts if not isinstance(part, Text) or part.text)
    led = (replace(first, parts=parts),) if parts else ()
    return replace(conversation, messages=(*led, *conversation.messages[1:])), [BILLING_LINE]


def thoughts(conversation: Conversation, takes: Accepted) -> Fitted:
    """Thoughts as the vendor's own, where it wants its words back; where it needs them, a turn that
    called tools and whose thoughts nobody kept has a blank in their place.
    """
    if not takes.wants_thoughts:
        return conversation, []
    messages = tuple(
        replace(each, parts=_thought_of(each.parts, takes)) if each.role == "assistant" else each
        for each in conversation.messages
    )
    return replace(conversation, messages=messages), []


def _thought_of(parts: tuple[Part, ...], takes: Accepted) -> tuple[Part, ...]:
    format_name = takes.format_name
    own = tuple(
        Thinking(text=part.text, signature=_own_signature(part, format_name), signed_by=format_name)
        if isinstance(part, Thinking) and part.text
        else part
        for part in parts
    )
    has_thought = any(isinstance(part, Thinking) and part.text for part in own)
    has_calls = any(isinstance(part, ToolCall) for part in own)
    if has_thought or not has_calls or not takes.needs_thoughts:
        return own
    return (Thinking(text=_BLANK, signed_by=format_name), *own)


def _own_signature(thought: Thinking, format_name: str) -> str:
    return thought.signature if thought.signed_by == format_name else ""


_BLANK = " "
"""Nothing at all is refused: https://github.com/charmbracelet/crush/issues/2696."""


def results_after_calls(conversation: Conversation, takes: Accepted) -> Fitted:  # noqa: ARG001 - of all alike
    """The results of a turn's calls directly after it: what was said between them comes next."""
    gathered = _Gathered()
    for message in conversation.messages:
        gathered.add(message)
    return replace(conversation, messages=gathered.finished()), []


class _Gathered:
    """Collects messages; while calls wait for their results, what is said by others waits too."""

    def __init__(self) -> None:
        self._messages: list[Message] = []
        self._waiting: list[Message] = []
        self._open: set[str] = set()

    def add(self, message: Message) -> None:
        results = tuple(part for part in message.parts if isinstance(part, ToolResult))
        if results:
            self._answer(message, results)
        elif self._open and message.role != "assistant":
            self._waiting.append(message)
        else:
            self._release()
            self._messages.append(message)
            self._open = {part.id for part in message.parts if isinstance(part, ToolCall)}

    def finished(self) -> tuple[Message, ...]:
        self._release()
        return tuple(self._messages)

    def _answer(self, message: Message, results: tuple[ToolResult, ...]) -> None:
        self._open -= {result.call_id for result in results}
        rest = tuple(part for part in message.parts if not isinstance(part, ToolResult))
        if self._open and rest:
            self._waiting.append(replace(message, parts=rest))
            message = replace(message, parts=results)
        self._messages.append(message)
        if not self._open:
            self._release()

    def _release(self) -> None:
        self._messages += self._waiting
        self._waiting = []


def without_ids(conversation: Conversation, takes: Accepted) -> Fitted:
    """Calls without ids: their results tell the name and stand in the order of the calls."""
    if takes.has_call_ids:
        return conversation, []
    calls = [part for each in conversation.messages for part in each.parts]
    names = {part.id: part.name for part in calls if isinstance(part, ToolCall)}
    places = {call_id: place for place, call_id in enumerate(names)}

    def fit(part: Part) -> Part:
        match part:
            case ToolCall():
                return replace(part, id="")
            case ToolResult():
                return replace(part, call_id="", name=part.name or names.get(part.call_id, ""))
            case _:
                return part

    def place(part: Part) -> int:
        return places.get(part.call_id, 0) if isinstance(part, ToolResult) else len(places)

    ordered = tuple(
        replace(each, parts=tuple(sorted(each.parts, key=place)))
        if any(isinstance(part, ToolResult) for part in each.parts)
        else each
        for each in conversation.messages
    )
    return with_parts(replace(conversation, messages=ordered), fit), []


def shown_after_results(conversation: Conversation, takes: Accepted) -> Fitted:
    """Media of results in a message of their own after them."""
    if takes.shows_results:
        return conversation, []
    messages: list[Message] = []
    media: list[Part] = []
    for message in conversation.messages:
        results = [part for part in message.parts if isinstance(part, ToolResult)]
        if media and not results:
            messages.append(Message(role="user", parts=tuple(media)))
            media = []
        messages.append(message_with(message, _without_media))
        media += [each for part in results for each in _media_of(part)]
    if media:
        messages.append(Message(role="user", parts=tuple(media)))
    return replace(conversation, messages=tuple(messages)), []


def _without_media(part: Part) -> Part:
    if not isinstance(part, ToolResult) or not _media_of(part):
        return part
    content = tuple(each for each in part.content if not isinstance(each, Media))
    return replace(part, content=content or (Text(text=_SHOWN_NEXT),))


_SHOWN_NEXT = "(shown in the next message)"


def _media_of(result: ToolResult) -> list[Part]:
    media: list[Part] = [part for part in result.content if isinstance(part, Media)]
    return [Text(text=f"Shown by the tool call {result.call_id}:"), *media] if media else []
