"""What is said of a channel's health."""

from typing import Literal, Self

from admin_api.channels.health import ChannelHealthView
from admin_api.fields.bodies import Moment, Output
from admin_api.fields.inputs import format_moment


class BreakerOutput(Output):
    """A breaker that is not closed: the channel is asked last for the model (the provider's name).

    `half_open`: its time is over, and calls find out whether the channel answers again. `reason`:
    a code. `failures`: how many times in a row it has opened.
    """

    model: str
    state: Literal["open", "half_open"]
    reason: str
    failures: int
    open_until: Moment


class ChannelHealth(Output):
    """Breakers of a channel, by model. `is_shared`: false where Redis is away, and nobody knows."""

    breakers: list[BreakerOutput]
    is_shared: bool

    @classmethod
    def of(cls, view: ChannelHealthView) -> Self:
        """As it is told."""
        return cls(
            breakers=[
                BreakerOutput(
                    model=one.model,
                    state=one.state,
                    reason=one.reason,
                    failures=one.failures,
                    open_until=format_moment(one.open_until),
                )
                for one in view.breakers
            ],
            is_shared=view.is_shared,
        )
