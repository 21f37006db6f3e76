"""C3, C5: keys of channels that fail: what becomes of the key, what the client is told, and what is
booked.
"""

import itertools
from dataclasses import dataclass

import psycopg
import pytest

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
from tests.faults.keyed_provider import KeyedProvider, Keys
from tests.running import until

MEASURED = 11 * IN_NANOS + 7 * OUT_NANOS


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


LIMIT_IN_STREAM = event_chunk(
    b'data: {"error":{"message":"slow","code":"rate_limit_exceeded"}}\n\n'
)


def test_c5_an_error_at_the_beginning_of_a_stream_goes_to_the_next_key(
    stage: Stage, vendor: KeyedProvider
) -> None:
    keys = Keys(stage, vendor, [(opened(), LIMIT_IN_STREAM, b"0\r\n\r\n"), stream()])
    for _ in range(2):
        answer = stage.client.chat(keys.model, stream=True)
        assert (answer.status, answer.frames[-1]) == (200, b"[DONE]")
    assert (keys.asked(), keys.resting()) == ([1, 2], ["rate_limit", ""])


def test_c5_an_error_in_the_middle_of_a_stream_lets_the_key_rest(
    stage: Stage, vendor: KeyedProvider
) -> None:
    broken = (opened(), event_chunk(chunk({"content": "a"})), LIMIT_IN_STREAM, b"0\r\n\r\n")
    keys = Keys(stage, vendor, [broken, stream()])
    answer = stage.client.chat(keys.model, stream=True)
    assert b"error" in answer.frames[-1]
    assert keys.resting() == ["rate_limit", ""]
    assert stage.client.chat(keys.model, stream=True).frames[-1] == b"[DONE]"
    assert keys.asked() == [1, 1]
