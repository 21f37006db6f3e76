"""Several channels: who is asked in which order, who is asked no more, and who is paid for."""

import itertools
import json
from uuid import UUID

import psycopg
import pytest

from ledger.streams.charge.events import Attempt
from tests.fake_provider import (
    HANG,
    Script,
    chunk,
    error,
    event_chunk,
    opened,
    stream,
    whole,
)
from tests.faults.conftest import IN_NANOS, OUT_NANOS, Stage
from tests.running import until

MEASURED = 11 * IN_NANOS + 7 * OUT_NANOS
numbers = itertools.count()

BEFORE_THE_FIRST_TOKEN: dict[str, tuple[Script, str, int]] = {
    "500": (whole(error(), status=500), "failed", 500),
    "429": (whole(error(), status=429), "failed", 429),
    "403": (whole(error(), status=403), "failed", 403),
    "silent": ((HANG,), "timeout", 0),
    "silent after the head": ((opened(), HANG), "timeout", 0),
    "nothing in it": ((opened(), b"0\r\n\r\n"), "failed", 0),
    "an error in it": (
        (opened(), event_chunk(b'data: {"error":{"message":"no"}}\n\n'), b"0\r\n\r\n"),
        "failed",
        0,
    ),
    "a role, then broken off": (
        (opened(), event_chunk(chunk({"role": "assistant", "content": ""})), b"0\r\n\r\n"),
        "failed",
        0,
    ),
}


class Tiers:
    """A model of its own behind channels `a`, `b`, ... in falling priority."""

    def __init__(self, stage: Stage, prefixes: str) -> None:
        self.stage = stage
        self.model = f"tiers-{next(numbers)}"
        self.prefixes = [f"{prefix}{self.model}" for prefix in prefixes]
        self.channels: list[UUID] = [
            stage.books.channel(
                [self.model],
                type_="openai",
                base_url=stage.provider.base_url(prefix),
                keys=[f"key-{prefix}"],
                priority=-number,
            )
            for number, prefix in enumerate(self.prefixes)
        ]
        stage.books.price(self.model, input=1, output=2)

    def script(self, number: int, script: Script) -> None:
        self.stage.provider.scripts[f"{self.prefixes[number]}/row"] = script

    def asked(self) -> list[int]:
        return [len(self.stage.provider.calls_of(prefix)) for prefix in self.prefixes]


@pytest.mark.parametrize("name", BEFORE_THE_FIRST_TOKEN)
def test_what_fails_before_the_first_token_goes_to_the_next_channel(
    stage: Stage, name: str
) -> None:
    script, outcome, status = BEFORE_THE_FIRST_TOKEN[name]
    tiers = Tiers(stage, "abc")
    tiers.script(0, script)
    tiers.script(1, stream(pause_s=0.01))
    answer = stage.client.chat(tiers.model, stream=True, metadata={"script": "row"})
    assert answer.status == 200
    assert answer.frames[-1] == b"[DONE]"
    assert tiers.asked() == [1, 1, 0]
    settled = stage.books.story(answer.request_id).settled
    assert [summary(one) for one in settled.attempts] == [
        (tiers.channels[0], outcome, status),
        (tiers.channels[1], "answered", 200),
    ]
    assert settled.channel_id == tiers.channels[1]
    assert settled.charged_nanos == MEASURED


def test_what_fails_after_the_first_token_goes_nowhere_else(stage: Stage) -> None:
    tiers = Tiers(stage, "ab")
    tiers.script(0, (opened(), event_chunk(chunk({"content": "a"})), b"0\r\n\r\n"))
    tiers.script(1, stream())
    answer = stage.client.chat(tiers.model, stream=True, metadata={"script": "row"})
    assert "error" in json.loads(answer.frames[-1])
    assert tiers.asked() == [1, 0]


def test_when_all_fail_each_was_asked_once_and_nothing_is_charged(stage: Stage) -> None:
    tiers = Tiers(stage, "abc")
    tiers.script(0, whole(error(), status=500))
    tiers.script(1, whole(b"<html>"))
    tiers.script(2, whole(error(), status=503))
    answer = stage.client.chat(tiers.model, metadata={"script": "row"})
    assert (answer.status, answer.code) == (502, "upstream_error")
    assert tiers.asked() == [1, 1, 1]
    refunded = stage.books.story(answer.request_id).refunded
    assert [summary(one)[1:] for one in refunded.attempts] == [
        ("failed", 500),
        ("failed", 0),
        ("failed", 503),
    ]
    assert refunded.reason == "upstream_error"


def test_a_request_that_is_itself_wrong_is_not_tried_elsewhere(stage: Stage) -> None:
    tiers = Tiers(stage, "ab")
    tiers.script(0, whole(error("too many stop words", param="stop"), status=400))
    tiers.script(1, whole())
    answer = stage.client.chat(tiers.model, metadata={"script": "row"})
    assert (answer.status, answer.json()["error"]["param"]) == (400, "stop")
    assert tiers.asked() == [1, 0]
    refunded = stage.books.story(answer.request_id).refunded
    assert [one.outcome for one in refunded.attempts] == ["refused"]


def test_a_key_the_provider_refuses_is_not_used_again(stage: Stage) -> None:
    tiers = Tiers(stage, "ab")
    tiers.script(0, whole(error("bad key"), status=401))
    tiers.script(1, whole())
    held = stage.gateway.core.configuration.held
    for _ in range(3):
        assert stage.client.chat(tiers.model, metadata={"script": "row"}).status == 200
        until(lambda: held.channels[tiers.channels[0]].out_of_use, 5, "the key is marked")
    assert tiers.asked() == [1, 3]
    topics = [one.topic for one in stage.books.log() if one.stream_id == tiers.channels[0]]
    assert topics == ["channel.ChannelAdded.v1", "channel.ChannelKeyStateChanged.v1"]


def test_a_channel_whose_key_cannot_be_opened_is_passed_over(stage: Stage) -> None:
    tiers = Tiers(stage, "ab")
    tiers.script(1, whole())
    spoil_key_of(stage, tiers.channels[0])
    answer = stage.client.chat(tiers.model, metadata={"script": "row"})
    assert answer.status == 200
    assert tiers.asked() == [0, 1]


def test_two_sealed_keys_that_were_swapped_open_neither(stage: Stage) -> None:
    tiers = Tiers(stage, "ab")
    for number in (0, 1):
        tiers.script(number, whole())
    with psycopg.connect(stage.owner_dsn) as connection:
        swapped = connection.execute(
            "update vault.cell one set sealed = other.sealed from vault.cell other "
            "where one.kind = 'channel_key' and other.kind = 'channel_key' "
            "and one.subject = any(%(both)s) and other.subject = any(%(both)s) "
            "and one.subject <> other.subject",
            {"both": tiers.channels},
        )
        assert swapped.rowcount == 2
    answer = stage.client.chat(tiers.model, metadata={"script": "row"})
    assert (answer.status, answer.code) == (502, "upstream_error")
    assert tiers.asked() == [0, 0]


def test_a_removed_channel_gets_no_more_calls(stage: Stage) -> None:
    tiers = Tiers(stage, "ab")
    for number in (0, 1):
        tiers.script(number, whole())
    assert stage.client.chat(tiers.model, metadata={"script": "row"}).status == 200
    stage.books.remove_channel(tiers.channels[0])
    assert stage.client.chat(tiers.model, metadata={"script": "row"}).status == 200
    assert tiers.asked() == [1, 1]


def summary(attempt: Attempt) -> tuple[UUID, str, int]:
    return attempt.channel_id, attempt.outcome, attempt.status


def spoil_key_of(stage: Stage, channel_id: UUID) -> None:
    """Put another channel's cell in its place, as somebody with the database might."""
    with psycopg.connect(stage.owner_dsn) as connection:
        changed = connection.execute(
            "update vault.cell set sealed = decode(repeat('ab', 60), 'hex') "
            "where kind = 'channel_key' and subject = %s",
            (channel_id,),
        )
        assert changed.rowcount == 1
