"""The breaker's decisions, on a clock that stands still unless it is moved."""

import pytest

from projections.cache.breaker import Breaker
from projections.cache.errors import CacheUnavailable


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_it_lets_calls_through_until_the_first_failure() -> None:
    breaker = Breaker(Clock())
    breaker.check()

    assert breaker.open("down")

    assert breaker.is_open
    with pytest.raises(CacheUnavailable, match="down"):
        breaker.check()


def test_only_the_failure_that_opened_it_starts_the_wait_for_the_probe() -> None:
    clock = Clock()
    breaker = Breaker(clock, probe_interval_s=0.25)
    assert breaker.open("down")
    clock.now_s += 0.125

    assert not breaker.open("still down")

    assert breaker.seconds_to_probe() == 0.125
    clock.now_s += 1
    assert breaker.seconds_to_probe() == 0


def test_a_failed_probe_waits_for_a_whole_interval_again() -> None:
    clock = Clock()
    breaker = Breaker(clock, probe_interval_s=0.25)
    breaker.open("down")
    clock.now_s += 0.25

    breaker.probe_failed("still down")

    assert breaker.is_open
    assert breaker.seconds_to_probe() == 0.25


def test_a_probe_that_succeeded_closes_it() -> None:
    breaker = Breaker(Clock())
    breaker.open("down")

    breaker.probe_succeeded()

    breaker.check()
    assert breaker.open("down again")
