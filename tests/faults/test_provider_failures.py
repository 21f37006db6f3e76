"""What a provider may do wrong, as a table: what the client is told, and what is charged for it."""

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from tests.bookkeeping import ChargeStory, assert_counted_input
from tests.calling import Answer
from tests.fake_provider import (
    DONE,
    EVENT_STREAM,
    HANG,
    RESET,
    USAGE,
    Script,
    Step,
    chunk,
    completion,
    error,
    event_chunk,
    head,
    opened,
    stream,
    until_closed,
    whole,
)
from tests.faults.conftest import IN_NANOS, MODEL, OUT_NANOS, PROVIDER_KEY, Stage

MEASURED = 11 * IN_NANOS + 7 * OUT_NANOS
"""What `USAGE` costs."""

WHOLE = json.dumps(completion()).encode()
TOLD = f"the key {PROVIDER_KEY} of org-0123456789 at https://internal.example.com/v1 is bad"
HEAD_DONE = event_chunk(chunk({"role": "assistant", "content": "a"}))
FINISH = event_chunk(chunk({}, "stop"))
USAGE_CHUNK = event_chunk(b'data: {"choices":[],"usage":%s}\n\n' % json.dumps(USAGE).encode())
END = event_chunk(DONE) + b"0\r\n\r\n"
PINGS: tuple[Step, ...] = (event_chunk(b": ping\n\n"), 0.1) * 40


@dataclass(frozen=True)
class Failed:
    """Nothing was delivered: nothing is charged."""

    script: Script
    status: int = 502
    code: str = "upstream_error"
    attempt: str = "failed"


@dataclass(frozen=True)
class Spent(Failed):
    """The provider says that it failed, and what that used: it is billed, and so is the call."""


@dataclass(frozen=True)
class Passed:
    """Delivered to the end. `output` is None where the provider's own usage counts."""

    script: Script
    output: int | None = None
    anomaly: str = ""
    measured_nanos: int = MEASURED
    fields: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Broken:
    """Broken off in the middle: the delivered part is charged, by its counted tokens."""

    script: Script
    output: int
    code: str = "upstream_error"
    ending: str = "provider_failed"
    fields: Mapping[str, Any] | None = None


def usage(**changed: object) -> dict[str, Any]:
    return {**USAGE, **changed}


ERROR = json.dumps(error()).encode()
SPENT = error() | {"usage": USAGE}

WHOLE_ROWS: dict[str, Failed | Passed] = {
    "B-098 silent": Failed((HANG,), 504, "upstream_timeout", "timeout"),
    "B-098 silent after the head": Failed(
        (head(200, {"content-length": "9"}), HANG), 504, "upstream_timeout", "timeout"
    ),
    "B-099 empty": Failed(whole(b"")),
    "B-100 HTML": Failed(whole(b"<html>busy</html>", headers={"content-type": "text/html"})),
    "B-101 error object": Failed(whole(error())),
    "B-101 error object, rate limited": Failed(
        whole(error(code="rate_limit_exceeded")), 429, "rate_limit_exceeded"
    ),
    "B-101 error object, and usage": Spent(whole(SPENT)),
    "B-101 error object, and usage of nothing": Failed(
        whole(error() | {"usage": usage(prompt_tokens=0, completion_tokens=0, total_tokens=0)})
    ),
    "B-102 no usage": Passed(whole(completion(usage=None)), output=3),
    "B-103 usage negative": Passed(
        whole(completion(usage=usage(prompt_tokens=-1))), 3, "usage_malformed"
    ),
    "B-103 usage huge": Passed(
        whole(completion(usage=usage(prompt_tokens=2**63))), 3, "usage_malformed"
    ),
    "B-103 usage text": Passed(
        whole(completion(usage=usage(completion_tokens="7"))), 3, "usage_malformed"
    ),
    "B-103 usage fractional": Passed(
        whole(completion(usage=usage(completion_tokens=7.5))), 3, "usage_malformed"
    ),
    "B-103 usage zero counts": Passed(
        whole(completion(usage=usage(prompt_tokens=0, completion_tokens=0, total_tokens=0))),
        3,
        "usage_contradicted",
    ),
    "B-104 truncated, with a length": Failed(
        (head(200, {"content-length": str(len(WHOLE))}) + WHOLE[:80], RESET)
    ),
    "B-105 truncated, to the end": Failed(until_closed(WHOLE[:80])),
    "B-105 whole, to the end": Passed(until_closed(WHOLE)),
    "B-106 30 MB": Passed(whole(completion("x" * 30_000_000))),
    "B-106 above the cap": Failed(whole(b" " * 68_000_000)),
    "B-107 compressed though nobody asked": Failed(
        whole(gzip.compress(b" " * 9_000_000), headers={"content-encoding": "gzip"})
    ),
    "B-108 a huge header": Failed(whole(headers={"x-long": "x" * 300_000})),
    "B-108 many headers": Failed(whole(headers={f"x-{n}": "y" * 40 for n in range(10_000)})),
    "B-109 redirected": Failed(
        whole(status=302, headers={"location": "http://169.254.169.254/latest/meta-data"})
    ),
    "B-110 our key is forbidden": Failed(whole(error(), status=403), 503, "provider_unavailable"),
    "B-111 rate limited": Failed(
        whole(error(), status=429, headers={"retry-after": "60"}), 429, "rate_limit_exceeded"
    ),
    "B-112 500": Failed(whole(error(), status=500)),
    "B-112 503": Failed(whole(error(), status=503)),
    "B-112 529": Failed(whole(error(), status=529), 429, "rate_limit_exceeded"),
    "B-113 204": Failed((head(204, {}),)),
    "B-113 304": Failed((head(304, {}),)),
    "B-113 418": Failed(whole(error(), status=418)),
    "B-113 999": Failed(whole(error(), status=999)),
    "B-113 no HTTP at all": Failed((b"\x00\x01 what is this\r\n\r\n", RESET)),
    "B-113 many early hints": Passed((head(103, {}) * 20, *whole())),
    "B-126 a stream that nobody asked for": Failed(stream()),
    "B-127 reset": Failed((RESET,)),
    "B-128 wrong content type": Passed(whole(headers={"content-type": "text/plain"})),
    "B-130 told too much": Failed(whole(error(TOLD), status=500)),
    "B-130 a refusal tells too much": Failed(
        whole(error("bad messages, see " + TOLD.replace("key", "thing")), status=422),
        422,
        "invalid_value",
        "refused",
    ),
}

STREAM_ROWS: dict[str, Failed | Passed | Broken] = {
    "B-098 silent after the head": Failed((opened(), HANG), 504, "upstream_timeout", "timeout"),
    "B-098 silent in the middle": Broken(
        (opened(), HEAD_DONE, HANG), 1, "upstream_timeout", "provider_failed"
    ),
    "B-099 empty": Failed((opened(), b"0\r\n\r\n")),
    "B-100 HTML": Failed(whole(b"<html>busy</html>", headers={"content-type": "text/html"})),
    "B-101 error object instead": Failed(whole(error())),
    "B-101 error object at once": Failed(
        (opened(), event_chunk(b'data: {"error":{"message":"no","code":429}}\n\n'), b"0\r\n\r\n"),
        429,
        "rate_limit_exceeded",
    ),
    "B-101 error object behind the usage": Spent(
        (opened(), USAGE_CHUNK, event_chunk(b"data: %s\n\n" % ERROR), b"0\r\n\r\n")
    ),
    "B-101 no JSON behind the usage": Failed(
        (opened(), USAGE_CHUNK, event_chunk(b"data: {nope\n\n"), b"0\r\n\r\n")
    ),
    "B-101 nothing behind the usage": Failed((opened(), USAGE_CHUNK, b"0\r\n\r\n")),
    "B-103 usage zero counts": Passed(
        stream(usage=usage(prompt_tokens=0, completion_tokens=0, total_tokens=0)),
        3,
        "usage_contradicted",
    ),
    "B-103 usage malformed": Passed(stream(usage=usage(prompt_tokens=-4)), 3, "usage_malformed"),
    "B-112 503": Failed(whole(error(), status=503)),
    "B-114 no JSON at once": Failed((opened(), event_chunk(b"data: {nope\n\n"), b"0\r\n\r\n")),
    "B-114 no JSON in the middle": Broken(
        (opened(), HEAD_DONE, event_chunk(b"data: {nope\n\n"), HANG), 1, ending="provider_error"
    ),
    "B-115 an endless line": Broken(
        (opened(), HEAD_DONE, event_chunk(b"data: " + b"x" * 17_000_000), HANG),
        1,
        ending="provider_error",
    ),
    "B-116 pings only": Failed((opened(), *PINGS), 504, "upstream_timeout", "timeout"),
    "B-116 pings only from the middle on": Broken(
        (opened(), HEAD_DONE, *PINGS), 1, "upstream_timeout", "provider_failed"
    ),
    "B-118 ends in the middle": Broken(
        stream(finish=False, done=False, usage=None), 3, ending="provider_broke_off"
    ),
    "B-118 ends without [DONE], else whole": Passed(stream(done=False)),
    "B-118 cut off after the finish reason": Passed(
        (opened(), HEAD_DONE, FINISH, USAGE_CHUNK), measured_nanos=MEASURED
    ),
    "B-119 no usage": Passed(stream(usage=None), output=3),
    "B-120 an error in the middle": Broken(
        (opened(), HEAD_DONE, event_chunk(b'data: {"error":{"message":"oh"}}\n\n'), HANG),
        1,
        ending="provider_error",
    ),
    "B-121 odd line ends": Passed(
        (
            opened(),
            event_chunk(b"\xef\xbb\xbf: hello\r\nid: 7\r\nretry: 100\r\n\r\n"),
            event_chunk(chunk({"content": "a"}).replace(b"\n\n", b"\r\n\r\n")),
            event_chunk(chunk({"content": " fine"}).replace(b"data: ", b"data:")),
            event_chunk(chunk({}, "stop").replace(b"\n", b"\r\n")),
            event_chunk(b"data: [DONE]\r\n\r\n"),
            b"0\r\n\r\n",
        ),
        output=2,
    ),
    "B-122 events after [DONE]": Passed(
        (opened(), HEAD_DONE, FINISH, USAGE_CHUNK, event_chunk(DONE), HEAD_DONE, b"0\r\n\r\n")
    ),
    "B-123 usage after the finish reason": Passed(
        (opened(), HEAD_DONE, FINISH, 0.3, USAGE_CHUNK, END)
    ),
    "B-124 usage several times": Passed(
        (
            opened(),
            HEAD_DONE,
            USAGE_CHUNK.replace(b'"completion_tokens": 7', b'"completion_tokens": 2').replace(
                b'"total_tokens": 18', b'"total_tokens": 13'
            ),
            FINISH,
            USAGE_CHUNK,
            USAGE_CHUNK,
            END,
        )
    ),
    "B-125 odd deltas": Passed(
        (
            opened(),
            event_chunk(b'data: {"choices":[{"index":"x","delta":null}]}\n\n'),
            event_chunk(b'data: {"choices":[{"delta":{"content":null,"tool_calls":7}}]}\n\n'),
            HEAD_DONE,
            FINISH,
            USAGE_CHUNK,
            END,
        )
    ),
    "B-126 JSON instead of a stream": Passed(whole()),
    "B-127 reset in the middle": Broken((opened(), HEAD_DONE, 0.1, RESET), 1),
    "B-127 reset at once": Failed((opened(), RESET)),
}


@pytest.mark.parametrize("name", WHOLE_ROWS)
def test_a_whole_answer(stage: Stage, name: str) -> None:
    row = WHOLE_ROWS[name]
    stage.provider.scripts["row"] = row.script
    calls_before = len(stage.provider.received)
    answer = stage.client.chat(stage.new_model(), metadata={"script": "row"})
    story = stage.books.story(answer.request_id)
    if isinstance(row, Failed):
        check_failed(answer, story, row)
    else:
        assert answer.status == 200
        check_charge(story, row, "complete")
        assert answer.json()["choices"][0]["message"]["content"]
    assert len(stage.provider.received) == calls_before + 1
    assert stage.books.balance(stage.payer.account_id).held_nanos == 0


@pytest.mark.parametrize("name", STREAM_ROWS)
def test_a_stream(stage: Stage, name: str) -> None:
    row = STREAM_ROWS[name]
    stage.provider.scripts["row"] = row.script
    answer = stage.client.chat(
        stage.new_model(),
        stream=True,
        stream_options={"include_usage": True},
        metadata={"script": "row"},
    )
    story = stage.books.story(answer.request_id)
    if isinstance(row, Failed):
        check_failed(answer, story, row)
    elif isinstance(row, Broken):
        check_broken(answer, story, row)
    else:
        assert answer.status == 200
        check_charge(story, row, "complete")
        assert answer.frames[-1] == b"[DONE]"
        assert answer.frames.count(b"[DONE]") == 1
        told = [json.loads(frame.removeprefix(b": hello")) for frame in answer.frames[:-1]]
        assert told[-1]["usage"]["completion_tokens"] == story.settled.usage.output
    assert stage.books.balance(stage.payer.account_id).held_nanos == 0


def check_failed(answer: Answer, story: ChargeStory, row: Failed) -> None:
    assert (answer.status, answer.code) == (row.status, row.code), answer
    if isinstance(row, Spent):
        assert story.settled.charged_nanos == MEASURED
        assert (story.settled.basis, story.settled.ending) == ("measured", "provider_error")
    else:
        assert story.names == ["QuotaReserved", "RefundIssued"]
        assert story.refunded.reason == row.code
    closing = story.closing
    assert closing.released_nanos == story.opening.hold_nanos > 0
    assert [attempt.outcome for attempt in closing.attempts] == [row.attempt]
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.headers["cache-control"] == "no-store"
    if row.status == 429:
        assert 1 <= int(answer.headers["retry-after"]) <= 60
    for secret in (PROVIDER_KEY, "0123456789", "internal.example", "Traceback", "127.0.0.1"):
        assert secret not in answer.body.decode(), answer.body


def check_charge(story: ChargeStory, row: Passed, ending: str) -> None:
    settled = story.settled
    assert (settled.ending, settled.anomaly) == (ending, row.anomaly)
    if row.output is None:
        assert settled.basis == "measured"
        assert settled.charged_nanos == row.measured_nanos
    else:
        check_estimate(story, row.output)
    assert settled.released_nanos == story.opening.hold_nanos
    assert settled.shortfall_nanos == 0
    assert [attempt.outcome for attempt in settled.attempts] == ["answered"]


def check_broken(answer: Answer, story: ChargeStory, row: Broken) -> None:
    assert answer.status == 200
    assert b"[DONE]" not in answer.body
    last = json.loads(answer.frames[-1])
    assert last["error"]["code"] == row.code
    assert story.settled.ending == row.ending
    check_estimate(story, row.output)
    assert [attempt.outcome for attempt in story.settled.attempts] == ["cut"]


def check_estimate(story: ChargeStory, output: int) -> None:
    settled = story.settled
    assert settled.basis == "estimated"
    assert settled.usage.output == output
    assert_counted_input(story)
    assert settled.charged_nanos == settled.usage.input * IN_NANOS + output * OUT_NANOS


def test_a_provider_that_cannot_be_reached_costs_nothing(stage: Stage) -> None:
    stage.books.channel(
        ["nowhere"], type_="openai", base_url="http://127.0.0.1:9/v1", keys=[PROVIDER_KEY]
    )
    stage.books.price("nowhere", input=1, output=2)
    answer = stage.client.chat("nowhere")
    check_failed(answer, stage.books.story(answer.request_id), Failed(()))


def test_headers_of_the_provider_stay_with_us(stage: Stage) -> None:
    theirs = {
        "set-cookie": "a=b",
        "server": "theirs",
        "location": "http://there",
        "access-control-allow-origin": "*",
        "x-request-id": "theirs",
        "openai-organization": "org-ours",
    }
    stage.provider.scripts["row"] = whole(headers=theirs)
    answer = stage.client.chat(MODEL, metadata={"script": "row"})
    assert set(answer.headers) == {
        "content-type",
        "content-length",
        "cache-control",
        "x-request-id",
    }
    assert answer.request_id != "theirs"
    stage.provider.scripts["row"] = (
        opened({**EVENT_STREAM, **theirs}),
        HEAD_DONE,
        FINISH,
        END,
    )
    answer = stage.client.chat(MODEL, stream=True, metadata={"script": "row"})
    assert not set(answer.headers) & (set(theirs) - {"x-request-id"})
