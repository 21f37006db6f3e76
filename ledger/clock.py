"""The one place that asks the operating system for the time of day.

Process clocks serve timeouts, identifiers and the window a hold falls into; the order and the
time of events are the database's.
"""

import time


def now_us() -> int:
    """Microseconds since the epoch, UTC."""
    return time.time_ns() // 1_000


def monotonic_s() -> float:
    """Seconds on a clock that never jumps; for durations and deadlines."""
    return time.monotonic()


def uptime_s() -> float:
    """Seconds on a clock that never jumps and goes on while the machine sleeps, where there is
    one: against it a jump of the time of day shows.
    """
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
