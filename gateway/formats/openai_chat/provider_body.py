"""The bytes that go to the provider: the client's own, but for the declared edits."""

import msgspec

from gateway.formats.contract import ChatCall

_TRUE = msgspec.Raw(b"true")
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])


def provider_body(call: ChatCall, upstream_model: str, ask_usage: bool) -> bytes:
    """`call.body` with the provider's name for the model, asking for usage, without what is
    stripped. The bytes of every other top-level value stay as they are, in their order.
    """
    asks = call.stream and ask_usage and not call.wants_usage
    if upstream_model == call.model and not asks and not call.stripped:
        return call.body
    members = _MEMBERS.decode(call.body)
    for name in call.stripped:
        del members[name]
    members["model"] = msgspec.Raw(msgspec.json.encode(upstream_model))
    if asks:
        given = call.document.get("stream_options")
        options = {} if given is None else _MEMBERS.decode(members["stream_options"])
        options["include_usage"] = _TRUE
        members["stream_options"] = msgspec.Raw(msgspec.json.encode(options))
    return msgspec.json.encode(members)
