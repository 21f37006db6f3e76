"""A whole response as a turn in no format, and back."""

import re
import secrets
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from gateway.conversation.arguments import as_object
from gateway.conversation.parts import (
    Foreign,
    Inline,
    Media,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
)
from gateway.conversation.signatures import signed_call_id
from gateway.conversation.turn import Choice, Stopped, StopReason, Turn
from gateway.formats.contract import Made, UnreadableAnswer
from gateway.formats.openai_responses.answers.usage import write_usage
from gateway.formats.openai_responses.requests.conversation import output_part
from gateway.formats.openai_responses.requests.writing import item_of
from gateway.formats.openai_responses.vocabulary import ENDS, NAME
from gateway.formats.values import ChatCall
from ledger import clock
from ledger.usage import Usage


def turn_of(document: Mapping[str, Any]) -> Turn:
    """What a provider answered. Raises UnreadableAnswer."""
    output = document.get("output")
    if type(output) is not list:
        raise UnreadableAnswer("the answer has no output")
    parts = tuple(part for item in output for part in answer_parts(item))
    stop, word = stop_of(document, any(isinstance(part, ToolCall) for part in parts))
    return Turn(
        format=NAME,
        id=str(document.get("id") or ""),
        model=str(document.get("model") or ""),
        created_s=created_s(document),
        service=document.get("service_tier") or "",
        choices=(Choice(parts=parts, stop=stop, stop_word=word),),
    )


def answer_parts(item: Mapping[str, Any]) -> list[Part]:
    """The parts of an item that the model made: an image is one, as are its words and calls.

    Source: https://platform.openai.com/docs/guides/tools-image-generation
    """
    image = item.get("result")
    if item.get("type") != "image_generation_call" or type(image) is not str or not image:
        return output_part(item)
    source = Inline(media_type=f"image/{item.get('output_format') or 'png'}", data=image)
    return [Media(kind="image", source=source)]


def answer_of(call: ChatCall, turn: Turn, usage: Usage) -> bytes:
    """The response as the client reads it."""
    choice = turn.choices[0]
    response_id = id_of(turn.id)
    output = items_of(choice.parts, response_id)
    return msgspec.json.encode(
        response_of(call, response_id, turn.created_s, output, (choice, usage))
    )


def made_of(told: bytes) -> Made:
    """The response that a client is told: as a document, or by the last event of a stream."""
    if not told.startswith(b"{"):
        _, _, last = told.rstrip().rpartition(b"\ndata: ")
        response: dict[str, Any] = msgspec.json.decode(last)["response"]
    else:
        response = msgspec.json.decode(told)
    named = (item.get("id") for item in response["output"])
    return Made(response["id"], tuple(each for each in named if type(each) is str), response)


def response_of(
    call: ChatCall,
    response_id: str,
    told_s: int,
    output: list[dict[str, Any]],
    ended: tuple[Choice | Stopped, Usage] | None = None,
) -> dict[str, Any]:
    """A response object; `ended` is None while it is being made."""
    document = call.document
    stopped, usage = ended or (None, None)
    reason = _cut_short(stopped) if stopped is not None else None
    status = "in_progress" if ended is None else "incomplete" if reason else "completed"
    return {
        "id": response_id,
        "object": "response",
        "created_at": told_s or clock.now_us() // 1_000_000,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": {"reason": reason} if reason else None,
        "instructions": document.get("instructions"),
        "max_output_tokens": document.get("max_output_tokens"),
        "model": call.model,
        "output": output,
        "parallel_tool_calls": document.get("parallel_tool_calls", True),
        "previous_response_id": None,
        "reasoning": document.get("reasoning") or {"effort": None, "summary": None},
        "store": call.keeps_here,
        "temperature": document.get("temperature"),
        "text": document.get("text") or {"format": {"type": "text"}},
        "tool_choice": document.get("tool_choice") or "auto",
        "tools": document.get("tools") or [],
        "top_p": document.get("top_p"),
        "truncation": document.get("truncation") or "disabled",
        "usage": None if usage is None else write_usage(usage),
        "user": document.get("user"),
        "metadata": document.get("metadata") or {},
    }


def items_of(parts: Iterable[Part], response_id: str) -> list[dict[str, Any]]:
    """The output items of parts; each has an id of its own."""
    written = (
        written_item(part, item_id(response_id, number, part)) for number, part in enumerate(parts)
    )
    return [item for item in written if item is not None]


def written_item(part: Part, own_id: str) -> dict[str, Any] | None:
    """A part as a complete output item; None for what this format cannot say."""
    match part:
        case Text() | Refusal():
            return message_item(own_id, [content_of(part)])
        case ToolCall():
            call_id = signed_call_id(part.id, part.signature)
            item = item_of(msgspec.structs.replace(part, id=call_id), own_id)
            return item if part.is_custom or as_object(part.arguments) is not None else item | _CUT
        case Thinking():
            return item_of(part, own_id)
        case Media(kind="image", source=Inline(media_type=media_type, data=data)):
            kind = media_type.removeprefix("image/") or "png"
            return image_item(own_id, "completed") | {"result": data, "output_format": kind}
        case Foreign(format=format_name, value=value) if format_name == NAME:
            return dict(value)
        case _:
            return None


def image_item(own_id: str, status: str) -> dict[str, Any]:
    """A call that makes an image; its result is not there yet."""
    return {"type": "image_generation_call", "id": own_id, "status": status, "result": None}


def message_item(
    own_id: str, content: list[dict[str, Any]], status: str = "completed"
) -> dict[str, Any]:
    """A message of the assistant."""
    return {
        "type": "message",
        "id": own_id,
        "status": status,
        "role": "assistant",
        "content": content,
    }


def content_of(part: Text | Refusal) -> dict[str, Any]:
    """What stands in a message."""
    if isinstance(part, Refusal):
        return {"type": "refusal", "refusal": part.text}
    annotations = [
        one
        for citation in part.citations
        if (one := annotation(citation, part.citing, len(part.text))) is not None
    ]
    return {"type": "output_text", "text": part.text, "annotations": annotations, "logprobs": []}


def annotation(citation: Any, citing: str, length: int) -> dict[str, Any] | None:  # noqa: ANN401 - decoded JSON
    """A citation in this format's words; None where it has none for it."""
    if type(citation) is not dict:
        return None
    if citing == NAME:
        return citation
    told = citation.get("url_citation") or citation
    if type(told.get("url")) is not str:
        return None
    return {
        "type": "url_citation",
        "url": told["url"],
        "title": told.get("title") or "",
        "start_index": told.get("start_index") or 0,
        "end_index": told.get("end_index") or length,
    }


def stop_of(document: Mapping[str, Any], has_calls: bool) -> tuple[StopReason, str]:
    """Why a response ended, as `Ends.read`. Raises AnswerFailed for one that was given up."""
    reason = (document.get("incomplete_details") or {}).get("reason")
    if document.get("status") == "incomplete" or reason:
        return ENDS.read(reason or "max_output_tokens", has_calls=False)
    is_given_up = document.get("status") == "cancelled"
    return ENDS.read("cancelled" if is_given_up else None, has_calls)


def _cut_short(stopped: Choice | Stopped) -> str | None:
    """Why a response is incomplete; None where it is not."""
    if stopped.stop == "other":
        return stopped.stop_word or "other"
    cut_short = {"length": "max_output_tokens", "content_filter": "content_filter"}
    return cut_short.get(stopped.stop)


def created_s(document: Mapping[str, Any]) -> int:
    """The provider's clock, 0 where it tells none."""
    created = document.get("created_at")
    return int(created) if isinstance(created, int | float) else 0


def id_of(told: str) -> str:
    """An id of this format. Clients name answers and items by it, and not every vendor's ids are
    its own: some have a thousand, or one.
    """
    if told.startswith("resp_"):
        return told
    return f"resp_{_ODD.sub('', told)[:_TOLD_MAX]}_{secrets.token_hex(8)}"


_CUT = {"status": "incomplete"}
"""Of a call whose arguments are not whole."""
_TOLD_MAX = 100
_ODD = re.compile("[^A-Za-z0-9_-]")


_PREFIX: Mapping[type[Part], str] = {Thinking: "rs", ToolCall: "fc", Media: "ig"}


def item_id(response_id: str, number: int, part: Part) -> str:
    """The id of an output item."""
    return f"{_PREFIX.get(type(part), 'msg')}_{response_id.removeprefix('resp_')}_{number}"
