"""When a channel is asked last, and how it is trusted again."""

from dataclasses import replace
from uuid import UUID

import pytest

from gateway.channels.cooling import Cooling, CoolingKeys
from gateway.channels.health import (
    FAILURES_LEAST,
    RECOVERY_S,
    SILENT_CALLS_LEAST,
    SILENT_S,
    WINDOW_S,
    ChannelHealth,
)
from gateway.channels.routing import Candidate
from gateway.channels.shared_keys import SharedKeys
from ledger import clock

A, B = (
    Candidate(UUID(int=n), "openai", "", "m", priority=0, weight=1, key_ids=(UUID(int=n + 10),))
    for n in (1, 2)
)


class Told(SharedKeys):
    """What would be told to other processes."""

    def __init__(self) -> None:
        self.cooling = CoolingKeys()
        self.cooled: list[tuple[UUID, UUID, str, int]] = []
        self.forgiven: list[tuple[UUID, UUID, str]] = []

    def cool(self, channel_id: UUID, key_id: UUID, model: str, cooling: Cooling) -> None:
        self.cooled.append((channel_id, key_id, model, cooling.failures))

    def forgive(self, channel_id: UUID, key_id: UUID, model: str) -> None:
        self.forgiven.append((channel_id, key_id, model))


class Health:
    """With a clock that is set by hand."""

    def __init__(self) -> None:
        self.told = Told()
        self.health = ChannelHealth(self.told)
        self.now_s = 1_000.0

    def fails(self, times: int = 1, candidate: Candidate = A, asked_s: float | None = None) -> None:
        for _ in range(times):
            at_s = self.now_s if asked_s is None else asked_s
            self.health.failed(candidate, at_s, "timeout")

    def answers(self, times: int = 1, candidate: Candidate = A) -> None:
        for _ in range(times):
            self.health.answered(candidate, self.now_s)

    def first(self, drawn: float = 0.5) -> Candidate:
        return self.health.ordered([A, B], lambda: drawn)[0]


@pytest.fixture
def health(monkeypatch: pytest.MonkeyPatch) -> Health:
    made = Health()
    monkeypatch.setattr(clock, "monotonic_s", lambda: made.now_s)
    return made


def test_some_failures_open_nothing_and_one_more_does(health: Health) -> None:
    health.fails(FAILURES_LEAST - 1)
    assert (health.first(), health.told.cooled) == (A, [])
    health.fails()
    assert health.first() == B
    assert health.told.cooled == [(A.channel_id, A.channel_id, "m", 1)]
    assert health.health.ordered([A]) == [A], "the only one is asked all the same"
    assert health.health.ordered([replace(A, upstream_model="n"), B])[0].upstream_model == "n"


def test_failures_of_long_ago_do_not_count(health: Health) -> None:
    health.fails(FAILURES_LEAST - 1)
    health.now_s += WINDOW_S + 10
    health.fails()
    assert health.first() == A


@pytest.mark.parametrize(("answered", "first"), [(5, B), (6, A)])
def test_where_more_than_half_are_answered_it_stays_closed(
    health: Health, answered: int, first: Candidate
) -> None:
    health.fails(1)
    health.answers(answered)
    health.fails(4)
    assert health.first() == first


def test_what_was_answered_before_the_first_failure_does_not_count(health: Health) -> None:
    health.answers(1_000)
    health.fails(FAILURES_LEAST)
    assert health.first() == B


def test_one_call_tries_when_the_rest_is_over_and_failing_doubles_it(health: Health) -> None:
    health.fails(FAILURES_LEAST)
    for rest_s, failures in ((1.0, 2), (2.0, 3), (4.0, 4)):
        health.now_s += rest_s - 0.01
        assert health.first() == B
        health.now_s += 0.01
        assert health.first() == A
        health.health.begin(A, health.now_s)
        assert health.first() == B, "another call tries it already"
        health.fails()
        health.health.end(A, health.now_s, has_answered=False)
        assert health.told.cooled[-1][-1] == failures
    assert health.first() == B


def test_calls_that_were_under_way_when_it_opened_count_for_nothing(health: Health) -> None:
    before_s = health.now_s
    health.fails(FAILURES_LEAST)
    health.now_s += 0.5
    health.fails(50, asked_s=before_s)
    health.health.answered(A, before_s)
    assert health.first() == B
    assert len(health.told.cooled) == 1
    health.now_s += 0.5
    assert health.first() == A


def test_a_channel_that_answers_again_gets_more_and_more_of_its_share(health: Health) -> None:
    health.fails(FAILURES_LEAST)
    health.now_s += 1.0
    health.answers()
    assert health.told.forgiven == [(A.channel_id, A.channel_id, "m")]
    asked = []
    for _ in range(5):
        asked.append([health.first(drawn / 10) for drawn in range(10)].count(A))
        health.now_s += RECOVERY_S / 4
    assert asked == [1, 3, 5, 8, 10]


def test_a_trial_that_finds_nothing_out_is_followed_by_another(health: Health) -> None:
    health.fails(FAILURES_LEAST)
    health.now_s += 1.0
    health.health.begin(A, health.now_s)
    assert health.first() == B
    health.health.nothing_said(A)
    assert health.first() == A


def test_nobody_is_sent_after_many_who_wait_for_a_first_word(health: Health) -> None:
    for _ in range(SILENT_CALLS_LEAST):
        health.health.begin(A, health.now_s)
    assert health.first() == A
    health.now_s += SILENT_S + 0.1
    assert health.first() == B
    health.health.end(A, health.now_s - SILENT_S, has_answered=True)
    assert health.first() == A, "one was answered"
    health.health.begin(A, health.now_s)
    health.now_s += SILENT_S + 0.1
    assert health.first() == B
    health.health.end(A, health.now_s, has_answered=False)
    assert health.first() == A, "so few may well take their time"


def test_names_that_clients_make_up_are_not_kept(
    health: Health, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.channels.health._KNOWN_MAX", 10)
    waits = replace(A, upstream_model="waits")
    health.health.begin(waits, health.now_s)
    for number in range(50):
        made_up = replace(A, upstream_model=f"m-{number}")
        health.health.begin(made_up, health.now_s)
        health.health.end(made_up, health.now_s, has_answered=True)
        health.fails(candidate=made_up)
    assert len(health.health._waiting) <= 11
    assert len(health.health._outcomes) <= 11
    health.health.end(waits, health.now_s, has_answered=True)


def test_a_slow_channel_is_not_taken_for_a_silent_one(health: Health) -> None:
    """Three times what is usual there: thirty seconds for an answer are ninety for silence."""
    for _ in range(30):
        health.health.begin(A, health.now_s)
        health.now_s += 30
        health.health.end(A, health.now_s - 30, has_answered=True)
    for _ in range(SILENT_CALLS_LEAST):
        health.health.begin(A, health.now_s)
    health.now_s += 80
    assert health.first() == A
    health.now_s += 12
    assert health.first() == B
