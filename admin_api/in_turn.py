"""Several commands to one stream as one decision: each sees what those before it did.

The commands are made from the state they meet, so that changing one field of many never writes
back what somebody else changed in between.
"""

from collections.abc import Callable, Sequence
from typing import Any

from ledger.streams.contract import Event, Stream

Step = Callable[[Any], object]
"""From the stream's state to the command for it; None where there is nothing to do."""


def in_turn(stream: Stream) -> Stream:
    """The stream, with a sequence of Steps as its command."""

    def decide(state: Any, steps: Sequence[Step]) -> tuple[Event, ...]:  # noqa: ANN401 - any stream's state
        decided: list[Event] = []
        for step in steps:
            command = step(state)
            events = () if command is None else stream.decide(state, command)
            for event in events:
                state = stream.evolve(state, event)
            decided += events
        return tuple(decided)

    return stream._replace(decide=decide)
