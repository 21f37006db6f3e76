"""Other vendors' signatures on their way through this format's clients, and back unharmed.

- On a thought: in its own `signature` or `data`, under the signer's name. A thought that nobody
  signed is marked too, for a provider of this format refuses what it did not sign itself.
- On a call of a tool (Gemini's thought signatures): within its id, see
  `gateway.conversation.signatures`.
"""

import hashlib
import re
from typing import Any

import msgspec

from gateway.conversation.signatures import carried, restored
from gateway.formats.anthropic_messages.vocabulary import NAME
from gateway.http.raw_members import edited, members_of

MARK = "tollgate-signed:"
_UNSIGNED = f"{MARK}:"
_THOUGHTS = ("thinking", "redacted_thinking")
_NOT_IN_IDS = re.compile(r"[^A-Za-z0-9_-]")
_ID_MAX_CHARACTERS = 64


def told_signature(signature: str, signed_by: str) -> str:
    """A thought's signature as our client sees it."""
    return carried(signature, signed_by, NAME) if signed_by else _UNSIGNED + signature


def read_signature(told: object) -> tuple[str, str]:
    """A thought's signature as our client sends it, and the format of who signed it."""
    return restored(told, NAME) if type(told) is str else ("", "")


def provider_call_id(call_id: str) -> str:
    """A call's id as a provider takes it: the same for the call and its result."""
    if call_id and len(call_id) <= _ID_MAX_CHARACTERS and not _NOT_IN_IDS.search(call_id):
        return call_id
    digest = hashlib.sha256(call_id.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{_NOT_IN_IDS.sub('_', call_id)[:24]}_{digest[:16]}".lstrip("_")


def without_strangers(body: bytes, keeps_words: bool = False) -> bytes:
    """A request without the thoughts that other vendors' models had: the provider would refuse
    them. Everything else keeps its bytes. With `keeps_words` they lose their marks alone.
    """
    if MARK.encode() not in body:
        return body
    messages = msgspec.json.decode(members_of(body)["messages"])
    kept = [
        _without(message, keeps_words) if message.get("role") == "assistant" else message
        for message in messages
    ]
    # A message of nothing but such thoughts is left out: an empty one is refused.
    kept = [message for message in kept if message["content"] != []]
    return body if kept == messages else edited(body, {"messages": kept})


def _without(message: dict[str, Any], keeps_words: bool) -> dict[str, Any]:
    content = message["content"]
    if type(content) is not list:
        return message
    kept = [
        {**block, "signature": ""} if _is_strange(block) else block
        for block in content
        if not _is_strange(block) or (keeps_words and block.get("thinking"))
    ]
    return {**message, "content": kept}


def _is_strange(block: dict[str, Any]) -> bool:
    if block.get("type") not in _THOUGHTS:
        return False
    told = block.get("signature") or block.get("data")
    return type(told) is str and told.startswith(MARK)
