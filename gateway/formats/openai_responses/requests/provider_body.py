"""The bytes that go to the provider: the client's own, but for the declared edits."""

from typing import Any

import msgspec

from gateway.conversation.signatures import SIGNED_CALL, read_call_id
from gateway.formats.values import ChatCall
from gateway.http.raw_members import edited, members_of


def provider_body(call: ChatCall, upstream_model: str) -> bytes:
    """`call.body` with the provider's name for the model, without what is stripped, and without the
    signatures that other vendors' models put on their calls: a provider refuses ids that long.
    """
    replaced: dict[str, Any] = {}
    if upstream_model != call.model:
        replaced["model"] = upstream_model
    if SIGNED_CALL.encode() in call.body and type(call.document.get("input")) is list:
        items = msgspec.json.decode(members_of(call.body)["input"])
        unsigned = [_unsigned(item) for item in items]
        if unsigned != items:
            replaced["input"] = unsigned
    if not replaced and not call.stripped:
        return call.body
    return edited(call.body, replaced, call.stripped)


def _unsigned(item: dict[str, Any]) -> dict[str, Any]:
    told = item.get("call_id")
    return item | {"call_id": read_call_id(told)[0]} if type(told) is str else item
