"""A conversation as a vendor takes it, before any format writes it; `accepted` is the table."""

from collections.abc import Callable, Sequence

from gateway.conversation.request import Conversation
from gateway.formats.shared.vendors import messages, options, tools
from gateway.formats.shared.vendors.accepted import Accepted
from gateway.formats.shared.vendors.fitted import Fitted

_FITS: Sequence[Callable[[Conversation, Accepted], Fitted]] = (
    messages.instructions,
    tools.tools,
    tools.schemas,
    tools.namespaces,
    tools.names,
    tools.calls,
    messages.thoughts,
    messages.results_after_calls,
    messages.shown_after_results,
    messages.without_ids,
    options.members,
    options.sampling,
)


def fitted(conversation: Conversation, takes: Accepted) -> Fitted:
    """The conversation within what is taken."""
    losses: list[str] = []
    for fit in _FITS:
        conversation, lost = fit(conversation, takes)
        losses += lost
    return conversation, losses
