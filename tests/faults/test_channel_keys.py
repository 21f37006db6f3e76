"""C3, C5: keys of channels that fail: who is asked next, what becomes of the key, what the client
is told, and what is booked.
"""

import itertools
import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from uuid import UUID

import psycopg
import pytest

from gateway.channels.cooling import Cooling
from gateway.channels.keys import ChannelKeys
from ledger.streams import channel, setting
from ledger.streams.channel import ChannelKeyStateChanged, KeyChoice
from projections.configuration import ATTEMPTS_SETTING
from tests.bookkeeping import ACTOR
from tests.calling import Answer
from tests.fake_provider import HANG, Script, completion, error, serving, whole
from tests.faults.conftest import IN_NANOS, OUT_NANOS, Stage
from tests.faults.keyed_provider import KeyedProvider
from tests.running import until

MEASURED = 11 * IN_NANOS + 7 * OUT_NANOS
numbers = itertools.count()


@pytest.fixture(scope="module")
def vendor() -> Iterator[KeyedProvider]:
    with serving(KeyedProvider()) as running:
        yield running


class Keys:
    """A model with four keys: of one channel, or of four; a priority each, or in order."""

    def __init__(
        self,
        stage: Stage,
        vendor: KeyedProvider,
        scripts: list[Script],
        *,
        one_channel: bool = True,
        key_choice: KeyChoice = "in_order",
        base_url: str = "",
    ) -> None:
        self.stage, self.vendor = stage, vendor
        number = next(numbers)
        self.model = f"keys-{number}"
        self.keys = [f"key-{number}-{index}" for index in range(len(scripts))]
        vendor.of_key.update(zip(self.keys, scripts, strict=True))
        groups = [self.keys] if one_channel else [[key] for key in self.keys]
        self.channels = [
            stage.books.channel(
                [self.model],
                type_="openai",
                base_url=base_url or vendor.base_url(),
                keys=keys,
                key_choice=key_choice,
                priority=-index,
            )
            for index, keys in enumerate(groups)
        ]
        stage.books.price(self.model, input=1, output=2)

    def command(self, command: object) -> None:
        self.stage.books.command(channel.STREAM, self.channels[0], command, seen=True)

    def ask(self) -> Answer:
        return self.stage.client.chat(self.model)

    def asked(self) -> list[int]:
        return self.vendor.asked(self.keys)

    @property
    def key_ids(self) -> list[UUID]:
        held = self.stage.gateway.core.configuration.held.channels
        return [key for channel in self.channels for key in held[channel].route.key_ids]

    def resting(self) -> list[str]:
        """Why each key is left alone; empty: it is not."""
        return ["".join(one.reason for one in found) for found in self.against()]

    def against(self) -> list[list[Cooling]]:
        """What is held against each key."""
        keys: ChannelKeys = self.stage.gateway.front.keys
        return [keys.cooling.against(key, self.model) for key in self.key_ids]

    def cooled(self) -> list[bool]:
        """Of each key whether it rests no more."""
        now_s = time.monotonic()
        return [all(one.until_s <= now_s for one in found) for found in self.against()]

    def events(self) -> list[tuple[str, str]]:
        """State and reason of every change of a key that is on record."""
        return [
            (one.event.state, one.event.reason)
            for one in self.stage.books.log()
            if one.stream_id in self.channels and isinstance(one.event, ChannelKeyStateChanged)
        ]


FINE = whole()


@dataclass(frozen=True)
class Row:
    """What one key says; what becomes of it; what the client is told when all keys say so."""

    script: Script
    reason: str
    status: int
    code: str
    attempt: tuple[str, int]
    is_fact: bool = False
    retry_after: str | None = None
    base_url: str = ""


UNAVAILABLE = (503, "provider_unavailable")
LIMITED = (429, "rate_limit_exceeded")
FAILED = (502, "upstream_error")

ROWS: dict[str, Row] = {
    "401": Row(
        whole(error("bad key"), status=401),
        "provider_status_401",
        *UNAVAILABLE,
        ("failed", 401),
        is_fact=True,
    ),
    "402": Row(
        whole(error("Insufficient Balance"), status=402),
        "provider_status_402",
        *UNAVAILABLE,
        ("failed", 402),
        is_fact=True,
    ),
    "403": Row(
        whole(error("no permission"), status=403),
        "provider_status_403",
        *UNAVAILABLE,
        ("failed", 403),
        is_fact=True,
    ),
    "429, out of money": Row(
        whole(error("quota", type="insufficient_quota"), status=429),
        "quota_used_up",
        *UNAVAILABLE,
        ("failed", 429),
        is_fact=True,
    ),
    "400, out of money": Row(
        whole(error("Your credit balance is too low to access the Anthropic API."), status=400),
        "balance_too_low",
        *UNAVAILABLE,
        ("failed", 400),
        is_fact=True,
    ),
    "429 with Retry-After": Row(
        whole(error(), status=429, headers={"retry-after": "3600"}),
        "provider_status_429",
        *LIMITED,
        ("failed", 429),
        retry_after="3600",
    ),
    "429": Row(
        whole(error(), status=429),
        "provider_status_429",
        *LIMITED,
        ("failed", 429),
        retry_after="1",
    ),
    "529": Row(
        whole(error(), status=529), "overloaded", *LIMITED, ("failed", 529), retry_after="1"
    ),
    "429 under 200": Row(
        whole(error("slow", code="rate_limit_exceeded")),
        "rate_limit",
        *LIMITED,
        ("failed", 0),
        retry_after="1",
    ),
    "500": Row(whole(error(), status=500), "", *FAILED, ("failed", 500)),
    "503": Row(whole(error(), status=503), "", *FAILED, ("failed", 503)),
    "a page of a firewall": Row(
        whole(b"<html>no</html>", status=403), "", *FAILED, ("failed", 403)
    ),
    "nobody there": Row(FINE, "", *FAILED, ("failed", 0), base_url="http://127.0.0.1:9/v1"),
    "silent": Row((HANG,), "", 504, "upstream_timeout", ("timeout", 0)),
}
LAYOUTS = pytest.mark.parametrize("one_channel", [True, False], ids=["4 keys", "4 channels"])


@LAYOUTS
@pytest.mark.parametrize("name", ROWS)
def test_c5_all_keys_fail(
    stage: Stage, vendor: KeyedProvider, name: str, one_channel: bool
) -> None:
    row = ROWS[name]
    keys = Keys(stage, vendor, [row.script] * 4, one_channel=one_channel, base_url=row.base_url)
    answer = keys.ask()
    assert (answer.status, answer.code) == (row.status, row.code), answer
    assert answer.headers.get("retry-after") == row.retry_after
    assert keys.asked() == ([0] * 4 if row.base_url else [1] * 4)
    story = stage.books.story(answer.request_id)
    assert story.names == ["QuotaReserved", "RefundIssued"]
    assert [(one.outcome, one.status) for one in story.refunded.attempts] == [row.attempt] * 4
    assert all(one.usage is None and one.cost is None for one in story.refunded.attempts)
    if row.is_fact:
        until(lambda: len(keys.events()) == 4, 5, "all are on record")
        state = "out_of_money" if "402" in name or "money" in name else "refused"
        assert set(keys.events()) == {(state, row.reason)}
    else:
        assert keys.resting() == [row.reason] * 4
        assert keys.events() == []
    if not row.reason:
        return
    if row.is_fact:
        held = stage.gateway.core.configuration.held.channels
        until(lambda: sum(len(held[one].out_of_use) for one in keys.channels) == 4)
    again = keys.ask()
    assert (again.status, again.code) == (row.status, row.code), "and holds nothing"
    assert stage.books.story(again.request_id).events == ()
    assert keys.asked() == [1] * 4


@LAYOUTS
@pytest.mark.parametrize("name", [name for name in ROWS if not ROWS[name].base_url])
def test_c5_a_failed_key_costs_the_call_nothing(
    stage: Stage, vendor: KeyedProvider, name: str, one_channel: bool
) -> None:
    row = ROWS[name]
    keys = Keys(stage, vendor, [row.script] * 3 + [FINE], one_channel=one_channel)
    answer = keys.ask()
    assert answer.status == 200
    settled = stage.books.story(answer.request_id).settled
    assert (settled.charged_nanos, settled.channel_id) == (MEASURED, keys.channels[-1])
    told = [(one.outcome, one.status) for one in settled.attempts]
    assert told == [row.attempt] * 3 + [("answered", 200)]
    assert keys.ask().status == 200
    first = 1 if row.reason else 2
    assert keys.asked() == [first] * 3 + [2]


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


def test_c5_a_clients_own_mistake_is_told_at_once_and_blames_no_key(
    stage: Stage, vendor: KeyedProvider
) -> None:
    keys = Keys(stage, vendor, [whole(error("bad stop", param="stop"), status=400), FINE])
    answer = keys.ask()
    assert (answer.status, answer.json()["error"]["param"]) == (400, "stop")
    assert (keys.asked(), keys.resting(), keys.events()) == ([1, 0], ["", ""], [])


def test_c5_some_cool_and_some_are_refused_tells_when_the_soonest_may_be_asked(
    stage: Stage, vendor: KeyedProvider
) -> None:
    cooling = [
        whole(error(), status=429, headers={"retry-after": seconds}) for seconds in ("50", "20")
    ]
    refused = whole(error(), status=401)
    keys = Keys(stage, vendor, [*cooling, refused])
    for _ in range(2):
        answer = keys.ask()
        assert (answer.status, answer.code) == LIMITED
        assert 18 <= int(answer.headers["retry-after"]) <= 20
    assert keys.asked() == [1, 1, 1]


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/v1/chat/completions", ("error", "code", "provider_unavailable")),
        ("/v1/messages", ("error", "type", "api_error")),
        ("/v1beta/models/{model}:generateContent", ("error", "status", "UNAVAILABLE")),
        ("/v1/responses", ("error", "code", "provider_unavailable")),
    ],
)
def test_c5_a_vendors_exhaustion_never_reads_as_the_customers(
    stage: Stage, vendor: KeyedProvider, path: str, told: tuple[str, str, str]
) -> None:
    broke = whole(error("You exceeded your current quota", code="insufficient_quota"), status=429)
    keys = Keys(stage, vendor, [broke] * 2)
    messages = [{"role": "user", "content": "x"}]
    body = {
        "/v1/responses": {"model": keys.model, "input": "x"},
        "/v1beta/models/{model}:generateContent": {"contents": [{"parts": [{"text": "x"}]}]},
    }.get(path, {"model": keys.model, "messages": messages, "max_tokens": 9})
    for _ in range(2):  # as it is found out, and from then on
        answer = stage.client.call("POST", path.format(model=keys.model), body)
        assert answer.status == 503
        outer, inner, word = told
        assert answer.json()[outer][inner] == word
        for never in (b"quota", b"billing", b"balance", b"credit", b"authentication"):
            assert never not in answer.body
        until(lambda: len(keys.events()) == 2, 5, "they are on record")


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


def test_c5_one_healthy_key_among_four_broken_ones_answers_every_call(
    stage: Stage, vendor: KeyedProvider
) -> None:
    broken = [
        whole(error(), status=401),
        whole(error(), status=429, headers={"retry-after": "86400"}),
        whole(error("Insufficient Balance"), status=402),
        whole(error(), status=529),
    ]
    keys = Keys(stage, vendor, [*broken, FINE], key_choice="random")
    assert [keys.ask().status for _ in range(100)] == [200] * 100
    refused, limited, broke, overloaded, fine = keys.asked()
    assert (refused, limited, broke, fine) == (1, 1, 1, 100)
    assert overloaded <= 4
    for cooling in itertools.chain(*keys.against()):  # a minute passes
        cooling.until_s -= 60
    before = sum(keys.asked())
    assert [keys.ask().status for _ in range(100)] == [200] * 100
    assert sum(keys.asked()) - before <= 103


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


def test_c5_what_we_fail_at_ourselves_says_nothing_of_a_key(
    stage: Stage, vendor: KeyedProvider
) -> None:
    """A sealed key that cannot be opened, and a name that is not found."""
    spoilt = Keys(stage, vendor, [FINE, FINE])
    with psycopg.connect(stage.owner_dsn) as connection:
        connection.execute(
            "update vault.cell set sealed = decode(repeat('ab', 60), 'hex') "
            "where kind = 'channel_key' and row_id = %s",
            (spoilt.key_ids[0],),
        )
    assert spoilt.ask().status == 200
    nowhere = Keys(stage, vendor, [FINE, FINE], base_url="http://no-such-host.invalid/v1")
    answer = nowhere.ask()
    assert (answer.status, answer.code) == FAILED
    for keys in (spoilt, nowhere):
        assert (keys.resting(), keys.events()) == (["", ""], [])
    assert (spoilt.asked(), nowhere.asked()) == ([0, 1], [0, 0])
