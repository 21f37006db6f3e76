"""A13: an answer that drips has an end, whoever waits for it; what is merely slow comes through."""

import json
import socket
import struct
import time

import pytest

from tests.calling import chat_request
from tests.fake_provider import HANG, Script, Step, chunk, completion, event_chunk, opened
from tests.faults.conftest import IN_NANOS, MODEL, OUT_NANOS, Stage
from tests.faults.test_disconnects import as_request
from tests.running import until

MEASURED = 11 * IN_NANOS + 7 * OUT_NANOS
BODY = json.dumps(completion()).encode()
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"


def dripping(body: bytes, pause_s: float) -> Script:
    """A byte, and a pause, and a byte: each would be a reason to wait for the next."""
    steps: list[Step] = [HEAD % len(body)]
    for byte in body:
        steps += [bytes([byte]), pause_s]
    return steps


def test_a13_a_whole_answer_that_drips_is_a_failed_attempt(stage: Stage) -> None:
    stage.provider.scripts["drip"] = dripping(BODY, 0.1)
    begun_s = time.monotonic()
    answer = stage.client.chat(MODEL, metadata={"script": "drip"})
    assert (answer.status, answer.json()["error"]["code"]) == (504, "upstream_timeout")
    assert time.monotonic() - begun_s < 0.1 * len(BODY) / 2
    story = stage.books.story(answer.request_id)
    assert [attempt.outcome for attempt in story.refunded.attempts] == ["timeout"]
    until(lambda: stage.provider.received[-1].is_abandoned, 3, "the provider is let go")


def test_a13_white_space_while_a_model_thinks_is_no_answer_that_drips(stage: Stage) -> None:
    """As DeepSeek sends it: https://api-docs.deepseek.com/quick_start/rate_limit."""
    blank: list[Step] = []
    for _ in range(20):
        blank += [b"\n", 0.1]
    stage.provider.scripts["thinking"] = (HEAD % (len(BODY) + 20), *blank, BODY)
    answer = stage.client.chat(MODEL, metadata={"script": "thinking"})
    assert answer.status == 200
    assert stage.books.story(answer.request_id).settled.charged_nanos == MEASURED


def test_a13_a_large_answer_in_its_time_comes_through(stage: Stage) -> None:
    body = json.dumps(completion("word " * 2_000)).encode()
    steps: list[Step] = [HEAD % len(body)]
    for start in range(0, len(body), 1_000):
        steps += [body[start : start + 1_000], 0.15]
    stage.provider.scripts["large"] = steps
    answer = stage.client.chat(MODEL, metadata={"script": "large"})
    assert answer.status == 200


def test_a13_a_failure_that_drips_keeps_nobody_waiting(stage: Stage) -> None:
    """The status says that it failed; the next candidate is asked without the rest of the words."""
    head = b"HTTP/1.1 500 Oh\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n"
    stage.provider.scripts["failing"] = (head, b"{", HANG)
    begun_s = time.monotonic()
    answer = stage.client.chat(MODEL, metadata={"script": "failing"})
    assert answer.status == 502
    assert time.monotonic() - begun_s < 5


def test_a13_an_event_that_never_ends_is_silence(stage: Stage) -> None:
    steps: list[Step] = [opened()]
    for _ in range(40):
        steps += [b"4\r\ndata\r\n", 0.1]
    stage.provider.scripts["endless"] = steps
    answer = stage.client.chat(MODEL, stream=True, metadata={"script": "endless"})
    assert (answer.status, answer.json()["error"]["code"]) == (504, "upstream_timeout")
    assert stage.books.story(answer.request_id).refunded.reason == "upstream_timeout"


def test_a13_an_event_that_never_ends_behind_others_ends_the_stream(stage: Stage) -> None:
    steps: list[Step] = [opened(), event_chunk(chunk({"content": "one"}))]
    for _ in range(40):
        steps += [b"4\r\ndata\r\n", 0.1]
    stage.provider.scripts["trailing off"] = steps
    answer = stage.client.chat(MODEL, stream=True, metadata={"script": "trailing off"})
    assert answer.status == 200
    assert b"upstream_timeout" in answer.body
    assert stage.books.story(answer.request_id).settled.basis == "estimated"


@pytest.mark.parametrize("is_stream", [False, True])
def test_a13_a_client_that_leaves_before_the_answer_is_waited_out_within_bounds(
    stage: Stage, is_stream: bool
) -> None:
    """The provider pings for ever; the client has gone."""
    pings: list[Step] = [opened() if is_stream else HEAD % 1_000]
    for _ in range(200):
        pings += [event_chunk(b": ping\n\n") if is_stream else b" ", 0.1]
    stage.provider.scripts["left"] = pings
    payer = stage.books.payer(5)
    calls = len(stage.provider.received)
    content = chat_request(MODEL, None, {"stream": is_stream, "metadata": {"script": "left"}})
    with socket.create_connection(("127.0.0.1", stage.gateway.port)) as raw:
        raw.sendall(as_request(payer.key, content))
        until(lambda: len(stage.provider.received) > calls, 5, "the provider was asked")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset
    until(lambda: stage.books.balance(payer.account_id).held_nanos == 0, 6, "closed")
    (story,) = stage.books.stories(payer.account_id)
    assert story.refunded.attempts[-1].outcome in ("cut", "timeout")
    until(lambda: stage.provider.received[-1].is_abandoned, 3, "the provider is let go")
