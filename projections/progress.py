"""How far a long piece of work is, told to whoever watches."""

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Told (done, total) events again and again; the last time, done is total. May raise to stop."""


def unwatched(done: int, total: int) -> None:
    """Nobody watches."""


class StepsInTurn:
    """Adds up the progress of steps that each go over about the same log."""

    def __init__(self, progress: Progress, steps: int) -> None:
        self._progress = progress
        self._left = steps
        self._before = 0
        self._total = 0

    def next(self) -> Progress:
        """The next step begins; tell this one how far it is."""
        assert self._left > 0, "there are no more steps"
        self._before += self._total
        self._total = 0
        steps = self._left
        self._left -= 1

        def tell(done: int, total: int) -> None:
            self._total = total
            self._progress(self._before + done, self._before + total * steps)

        return tell
