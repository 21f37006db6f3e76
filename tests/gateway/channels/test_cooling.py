"""C5: keys that are left alone for a while, by one process's clock."""

from uuid import UUID

from gateway.channels.cooling import ALL_MODELS, TRIED_WITHIN_S, CoolingKeys

A, B, M = UUID(int=1), UUID(int=2), "gpt-5"


def test_c5_a_key_rests_as_long_as_it_was_told_and_then_one_call_tries_it() -> None:
    keys = CoolingKeys()
    keys.failed(A, M, (10.0, "rate_limit"), asked_s=0.0, now_s=1.0)
    assert keys.rested([A, B], M, 10.9) == [B]
    assert keys.rested([A, B], M, 11.0) == [A, B]
    keys.begin_trial(A, M, 11.0)
    assert keys.rested([A, B], M, 11.5) == [B], "others wait for what comes of it"
    assert keys.rested([A], M, 11.5, joins=True) == [A], "unless there is nobody else"
    assert keys.rested([A, B], M, 11.0 + TRIED_WITHIN_S) == [A, B], "but not for ever"
    keys.end_trial(A, M)
    assert keys.rested([A, B], M, 11.6) == [A, B]
    assert keys.answered(A, M, asked_s=11.0)
    assert not keys.known


def test_c5_models_are_limited_apart_and_what_is_wrong_with_a_key_holds_for_all() -> None:
    keys = CoolingKeys()
    keys.failed(A, M, (60.0, "rate_limit"), asked_s=0.0, now_s=1.0)
    assert keys.rested([A, B], "another", 2.0) == [A, B]
    keys.withdraw(B, "provider_status_401", 60.0, now_s=1.0)
    assert keys.rested([A, B], "another", 2.0) == [A]
    keys.failed(A, "another", (60.0, "rate_limit"), asked_s=1.0, now_s=1.0)
    keys.forget(A, "another")
    assert keys.rested([A, B], "another", 2.0) == [A]
    assert keys.rested([A, B], M, 2.0) == []
    keys.forget(A, ALL_MODELS)
    keys.forget(B, ALL_MODELS)  # which the ledger is being told
    assert keys.rested([A, B], M, 2.0) == [A]


def test_c5_calls_that_were_under_way_together_are_one_failure() -> None:
    keys = CoolingKeys()
    for now_s in (1.0, 1.1, 1.2):
        keys.failed(A, M, (None, "rate_limit"), asked_s=0.5, now_s=now_s)
    (cooling,) = keys.against(A, M)
    assert (cooling.failures, cooling.until_s) == (1, 2.0)
    assert not keys.answered(A, M, asked_s=0.5), "nor does an answer from before say that it works"
    assert keys.rested([A], M, 1.9) == []
    keys.failed(A, M, (None, "rate_limit"), asked_s=2.0, now_s=2.5)
    assert keys.rested([A], M, 4.4) == []
    assert keys.rested([A], M, 4.5) == [A]


def test_c5_a_longer_word_of_the_provider_counts_among_calls_under_way() -> None:
    keys = CoolingKeys()
    keys.failed(A, M, (None, "rate_limit"), asked_s=0.5, now_s=1.0)
    keys.failed(A, M, (30.0, "rate_limit"), asked_s=0.6, now_s=1.1)
    keys.failed(A, M, (2.0, "rate_limit"), asked_s=0.7, now_s=1.2)
    assert keys.rested([A], M, 31.0) == []
    assert keys.rested([A], M, 31.2) == [A]


def test_c5_what_is_being_told_to_the_ledger_is_not_shortened_by_a_limit() -> None:
    keys = CoolingKeys()
    keys.withdraw(A, "provider_status_401", 60.0, now_s=1.0)
    keys.failed(A, M, (None, "rate_limit"), asked_s=0.5, now_s=1.1)
    assert keys.is_withdrawn(A, 60.9)
    assert keys.rested([A], M, 60.9) == []
    assert keys.rested([A], M, 61.0) == [A]


def test_c5_a_key_that_always_fails_is_asked_ever_more_rarely() -> None:
    keys, now_s, asked = CoolingKeys(), 0.0, []
    while now_s < 3_600:
        if keys.rested([A], M, now_s):
            asked.append(now_s)
            keys.failed(A, M, (None, "overloaded"), asked_s=now_s, now_s=now_s)
        now_s += 0.25
    assert len([at_s for at_s in asked if at_s <= 60]) == 6
    assert len(asked) <= 6 + 3 + 12
