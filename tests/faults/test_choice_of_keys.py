"""C3, C5: which key of which channel a call is sent with next, and how long one is left alone."""

import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from ledger.streams import channel, setting
from projections.configuration import ATTEMPTS_SETTING
from tests.bookkeeping import ACTOR
from tests.fake_provider import (
    HANG,
    completion,
    error,
    whole,
)
from tests.faults.conftest import Stage
from tests.faults.keyed_provider import KeyedProvider, Keys, numbers
from tests.running import until

FINE = whole()
UNAVAILABLE = (503, "provider_unavailable")


def test_c5_the_next_key_of_the_channel_goes_before_another_channel(
    stage: Stage, vendor: KeyedProvider
) -> None:
    bad = whole(error(), status=500)
    first = Keys(stage, vendor, [bad, FINE])
    second = [f"{first.model}-other"]
    vendor.of_key[second[0]] = FINE
    stage.books.channel(
        [first.model], type_="openai", base_url=vendor.base_url(), keys=second, priority=-9
    )
    assert first.ask().status == 200
    assert (first.asked(), vendor.asked(second)) == ([1, 1], [0])


def test_c3_where_nobody_is_there_other_channels_go_before_other_keys(
    stage: Stage, vendor: KeyedProvider
) -> None:
    first = Keys(stage, vendor, [(HANG,), FINE])
    second = [f"{first.model}-other"]
    vendor.of_key[second[0]] = FINE
    stage.books.channel(
        [first.model], type_="openai", base_url=vendor.base_url(), keys=second, priority=-9
    )
    assert first.ask().status == 200
    assert (first.asked(), vendor.asked(second)) == ([1, 0], [1])


def test_c3_a_call_is_sent_a_bounded_number_of_times_and_every_channel_gets_its_turn(
    stage: Stage, vendor: KeyedProvider
) -> None:
    bad = whole(error(), status=500)
    first = Keys(stage, vendor, [bad] * 20)
    answer = first.ask()
    assert (answer.status, sum(first.asked())) == (502, 16)
    second = [f"{first.model}-other"]
    vendor.of_key[second[0]] = FINE
    stage.books.channel(
        [first.model], type_="openai", base_url=vendor.base_url(), keys=second, priority=-9
    )
    assert first.ask().status == 200
    assert (sum(first.asked()), vendor.asked(second)) == (16 + 15, [1])
    set_attempts(stage, "2")
    try:
        assert first.ask().status == 200
        assert (sum(first.asked()), vendor.asked(second)) == (16 + 15 + 1, [2])
    finally:
        set_attempts(stage, "16")


def set_attempts(stage: Stage, value: str) -> None:
    command = setting.ChangeSetting(ATTEMPTS_SETTING, value, ACTOR)
    stream_id = setting.setting_stream_id(ATTEMPTS_SETTING)
    stage.books.command(setting.STREAM, stream_id, command, seen=True)


def test_c5_keys_in_turn_and_at_random_share_the_calls(
    stage: Stage, vendor: KeyedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_turn = Keys(stage, vendor, [FINE] * 4, key_choice="in_turn")
    for _ in range(8):
        assert in_turn.ask().status == 200
    assert in_turn.asked() == [2, 2, 2, 2]
    monkeypatch.setattr(random, "choice", random.Random(7).choice)
    at_random = Keys(stage, vendor, [FINE] * 4, key_choice="random")
    for _ in range(24):
        assert at_random.ask().status == 200
    assert min(at_random.asked()) >= 2
    in_order = Keys(stage, vendor, [FINE] * 4)
    for _ in range(4):
        assert in_order.ask().status == 200
    assert in_order.asked() == [4, 0, 0, 0]


def test_c5_a_key_whose_time_is_over_is_asked_again_and_forgiven(
    stage: Stage, vendor: KeyedProvider
) -> None:
    keys = Keys(stage, vendor, [whole(error(), status=429), FINE])
    assert keys.ask().status == 200
    vendor.of_key[keys.keys[0]] = whole(completion("again"))
    assert keys.asked() == [1, 1]
    until(lambda: keys.ask().status == 200 and keys.asked()[0] == 2, 5, "the key is asked again")
    assert keys.resting() == ["", ""]


def test_c5_a_key_that_is_paused_by_hand_is_asked_no_more_until_it_is_resumed(
    stage: Stage, vendor: KeyedProvider
) -> None:
    keys = Keys(stage, vendor, [FINE, FINE])
    first, second = keys.key_ids
    assert keys.ask().status == 200
    keys.command(channel.PauseKey(first, ACTOR, "rotated"))
    assert [keys.ask().status for _ in range(3)] == [200] * 3
    assert keys.asked() == [1, 3]
    keys.command(channel.PauseKey(second, ACTOR, "rotated"))
    answer = keys.ask()
    assert (answer.status, answer.code) == UNAVAILABLE
    keys.command(channel.ResumeKey(first, ACTOR))
    assert keys.ask().status == 200
    assert keys.asked() == [2, 3]


def test_c5_many_calls_that_find_a_key_refused_at_once_put_it_on_record_once(
    stage: Stage, vendor: KeyedProvider
) -> None:
    keys = Keys(stage, vendor, [(0.2, *whole(error(), status=401)), FINE])
    with ThreadPoolExecutor(12) as callers:
        answers = list(callers.map(lambda _: keys.ask().status, range(12)))
    assert answers == [200] * 12
    assert keys.asked() == [12, 12]
    until(lambda: keys.events() == [("refused", "provider_status_401")], 5)
    assert keys.ask().status == 200
    assert keys.asked() == [12, 13]
    (refused, _) = keys.key_ids
    keys.command(channel.ResumeKey(refused, ACTOR))
    vendor.of_key[keys.keys[0]] = FINE
    until(lambda: keys.ask().status == 200 and keys.asked()[0] == 13, 5, "it is asked again")
    assert keys.events() == [("refused", "provider_status_401"), ("usable", "")]


def test_c5_a_key_that_is_tried_again_by_one_slow_call_keeps_nobody_else_waiting(
    stage: Stage, vendor: KeyedProvider
) -> None:
    keys = Keys(stage, vendor, [whole(error(), status=429), FINE])
    assert keys.ask().status == 200
    keys.command(channel.PauseKey(keys.key_ids[1], ACTOR))
    vendor.of_key[keys.keys[0]] = (0.5, *FINE)
    until(lambda: keys.cooled() == [True, True], 5, "its rest is over")
    with ThreadPoolExecutor(8) as callers:
        assert list(callers.map(lambda _: keys.ask().status, range(8))) == [200] * 8
    assert keys.asked() == [1 + 8, 1]


def test_c5_where_there_is_another_key_one_call_alone_tries_the_one_that_failed(
    stage: Stage, vendor: KeyedProvider
) -> None:
    keys = Keys(stage, vendor, [whole(error(), status=529), FINE])
    assert keys.ask().status == 200
    vendor.of_key[keys.keys[0]] = (0.3, *whole(error(), status=529))
    until(lambda: keys.cooled() == [True, True], 5, "its rest is over")
    with ThreadPoolExecutor(8) as callers:
        assert list(callers.map(lambda _: keys.ask().status, range(8))) == [200] * 8
    assert keys.asked() == [1 + 1, 1 + 8]


def test_c5_a_channel_with_keys_is_not_asked_without_one(
    stage: Stage, vendor: KeyedProvider
) -> None:
    """Though its type could do without."""
    model = f"keyless-{next(numbers)}"
    base_url = vendor.base_url()
    channel_id = stage.books.channel([model], type_="ollama", base_url=base_url, keys=["k"])
    stage.books.price(model, input=1, output=2)
    (key_id,) = stage.gateway.core.configuration.held.channels[channel_id].route.key_ids
    pause = channel.PauseKey(key_id, ACTOR)
    stage.books.command(channel.STREAM, channel_id, pause, seen=True)
    before = len(vendor.received)
    answer = stage.client.chat(model)
    assert (answer.status, answer.code) == UNAVAILABLE
    assert len(vendor.received) == before


def test_c5_a_limit_of_one_model_keeps_no_other_from_being_asked(
    stage: Stage, vendor: KeyedProvider
) -> None:
    models = [f"apart-{next(numbers)}" for _ in range(2)]
    key = f"key-{models[0]}"
    limit = whole(error(), status=429, headers={"retry-after": "60"})
    vendor.of_key[key] = limit
    stage.books.channel(models, type_="openai", base_url=vendor.base_url(), keys=[key])
    for model in models:
        stage.books.price(model, input=1, output=2)
    assert stage.client.chat(models[0]).status == 429
    vendor.of_key[key] = FINE
    assert stage.client.chat(models[0]).status == 429
    assert stage.client.chat(models[1]).status == 200
    assert vendor.asked([key]) == [2]
