"""A Chat Completions request for services that know less of it than OpenAI does.

Only what such a service would refuse or overlook is changed; all other bytes stay.
"""

import hashlib
import re
import string
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from gateway.http.raw_members import edited, members_of

_LETTERS = string.digits + string.ascii_letters
_TOOL_CALL_ID = re.compile(r"[A-Za-z0-9]{9}", re.ASCII)
_MAX_TOKENS = b'"max_completion_tokens"'
_DEVELOPER = b'"developer"'


@dataclass(frozen=True, slots=True)
class ChatQuirks:
    """What a service does not know.

    `is_older`: limits are `max_tokens` only, instructions come from `system` only.
    `refused`: top-level members it refuses, none of which changes the answer; likewise
    `refused_in_messages`. `short_tool_call_ids`: ids of tool calls are nine letters and digits.
    """

    is_older: bool = False
    refused: tuple[str, ...] = ()
    refused_in_messages: tuple[str, ...] = ()
    short_tool_call_ids: bool = False


NO_QUIRKS = ChatQuirks()


def for_older(body: bytes, quirks: ChatQuirks) -> bytes:
    """`body` as a service with these quirks reads it; the same bytes where it reads them so."""
    if quirks == NO_QUIRKS:
        return body
    members = members_of(body)
    dropped = [name for name in quirks.refused if name in members]
    replaced: dict[str, object] = {}
    if quirks.is_older and _MAX_TOKENS in body and "max_completion_tokens" in members:
        dropped.append("max_completion_tokens")
        replaced["max_tokens"] = members["max_completion_tokens"]
    messages = _messages(body, members, quirks)
    if messages is not None:
        replaced["messages"] = messages
    return edited(body, replaced, dropped) if replaced or dropped else body


def short_id(tool_call_id: str) -> str:
    """Nine letters and digits, always the same for one id."""
    if _TOOL_CALL_ID.fullmatch(tool_call_id):
        return tool_call_id
    number = int.from_bytes(hashlib.sha256(tool_call_id.encode()).digest())
    digits = []
    for _ in range(9):
        number, digit = divmod(number, len(_LETTERS))
        digits.append(_LETTERS[digit])
    return "".join(digits)


def _messages(body: bytes, members: dict[str, msgspec.Raw], quirks: ChatQuirks) -> list[Any] | None:
    """The messages where they have to change."""
    may_have_ids = quirks.short_tool_call_ids and b"tool_call" in body
    may_instruct = quirks.is_older and _DEVELOPER in body
    refused = [name for name in quirks.refused_in_messages if name.encode() in body]
    if not (may_have_ids or may_instruct or refused):
        return None
    messages: list[Any] = msgspec.json.decode(members["messages"])
    changed = False
    for message in messages:
        if not isinstance(message, dict):
            continue
        if may_instruct and message.get("role") == "developer":
            message["role"] = "system"
            changed = True
        for name in refused:
            changed = message.pop(name, refused) is not refused or changed
        if may_have_ids:
            changed = _shorten(_with_ids(message)) or changed
    return messages if changed else None


def _with_ids(message: dict[str, Any]) -> Iterable[tuple[dict[str, Any], str]]:
    """Each object that holds the id of a tool call, and the id's name in it."""
    if "tool_call_id" in message:
        yield message, "tool_call_id"
    for call in message.get("tool_calls") or ():
        if isinstance(call, dict):
            yield call, "id"


def _shorten(places: Iterable[tuple[dict[str, Any], str]]) -> bool:
    changed = False
    for holder, name in places:
        given = holder.get(name)
        if isinstance(given, str) and short_id(given) != given:
            holder[name] = short_id(given)
            changed = True
    return changed
