"""The bytes that go to a provider of OpenAI's chat or legacy completions: the client's own, but for
the declared edits.
"""

from gateway.formats.values import ChatCall
from gateway.http.raw_members import edited, members_of


def provider_body(call: ChatCall, upstream_model: str) -> bytes:
    """`call.body` with the provider's name for the model, asking for usage, without what is
    stripped. The bytes of every other top-level value stay as they are, in their order.
    """
    asks = call.stream and not call.wants_usage
    if upstream_model == call.model and not asks and not call.stripped:
        return call.body
    replaced: dict[str, object] = {"model": upstream_model}
    if asks:
        given = call.document.get("stream_options")
        members = {} if given is None else members_of(members_of(call.body)["stream_options"])
        replaced["stream_options"] = {**members, "include_usage": True}
    return edited(call.body, replaced, call.stripped)
