"""What is said of a channel's keys."""

from datetime import datetime
from typing import Literal, Self
from uuid import UUID

from admin_api.channels.provider_keys import KeyView
from admin_api.fields.bodies import Moment, Output
from admin_api.fields.inputs import format_moment
from ledger.streams.channel import KeyState

ProviderKeyState = Literal["usable", "refused", "out_of_money", "paused"]


class ProviderKeyOutput(Output):
    """A provider's key: that it exists, and whether calls are sent with it."""

    id: UUID
    state: ProviderKeyState


class ProviderKeyDetails(Output):
    """A provider's key, and why it is in its state: `reason` is a code.

    `since`: when its state was last changed; null: never. A key that is `cooling` is usable again
    after `cooling_until`, and before for other than the `cooling_models` (none named: for none).
    `answered_at`: when it worked last, to some seconds.
    """

    id: UUID
    state: Literal["usable", "cooling", "refused", "out_of_money", "paused"]
    reason: str
    since: Moment | None
    cooling_until: Moment | None
    cooling_models: list[str]
    answered_at: Moment | None

    @classmethod
    def of(cls, view: KeyView) -> Self:
        """As it is told."""
        return cls(
            id=view.key_id,
            state="cooling" if view.state == "cooling" else key_state(view.state),
            reason=view.reason,
            since=_moment(view.since),
            cooling_until=_moment(view.cooling_until),
            cooling_models=list(view.cooling_models),
            answered_at=_moment(view.answered_at),
        )


class ProviderKeyList(Output):
    """Every key of a channel, in the order in which it has them."""

    keys: list[ProviderKeyDetails]


def key_state(state: KeyState) -> ProviderKeyState:
    """As it is told."""
    return "refused" if state == "unusable" else state


def _moment(given: datetime | None) -> str | None:
    return None if given is None else format_moment(given)
