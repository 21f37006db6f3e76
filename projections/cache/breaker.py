"""When to stop asking Redis, and when to try again; decisions only, no I/O."""

from collections.abc import Callable

from ledger import clock
from projections.cache.errors import CacheUnavailable

PROBE_INTERVAL_S = 0.25


class Breaker:
    """Opens on the first failure; while it is open, one probe is due every `probe_interval_s`.

    One failure is enough because nothing is lost by not asking: Postgres decides alone.
    """

    def __init__(
        self,
        clock_s: Callable[[], float] = clock.monotonic_s,
        probe_interval_s: float = PROBE_INTERVAL_S,
    ) -> None:
        self._clock_s = clock_s
        self._probe_interval_s = probe_interval_s
        self._reason: str | None = None
        self._probe_at_s = 0.0

    @property
    def is_open(self) -> bool:
        """Whether calls are refused."""
        return self._reason is not None

    def check(self) -> None:
        """Raise CacheUnavailable while open: the caller does not wait for a Redis in trouble."""
        if self._reason is not None:
            raise CacheUnavailable(self._reason)

    def open(self, reason: str) -> bool:
        """Refuse calls from now on. False if they were refused already."""
        if self._reason is not None:
            return False
        self._reason = reason
        self._probe_at_s = self._clock_s() + self._probe_interval_s
        return True

    def seconds_to_probe(self) -> float:
        """How long until the next probe is due; 0 if it is."""
        return max(0.0, self._probe_at_s - self._clock_s())

    def probe_failed(self, reason: str) -> None:
        """Stay open until the next probe."""
        self._reason = reason
        self._probe_at_s = self._clock_s() + self._probe_interval_s

    def probe_succeeded(self) -> None:
        """Let calls through again."""
        self._reason = None
