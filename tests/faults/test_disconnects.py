"""A client that leaves, at every stage: what was given is charged once, and nothing hangs."""

import json
import socket
import threading
import time
from typing import Any

from tests.bookkeeping import ChargeStory, assert_counted_input
from tests.calling import CHAT, chat_request
from tests.fake_provider import (
    DONE,
    HANG,
    Script,
    chunk,
    event_chunk,
    opened,
    stream,
    whole,
)
from tests.faults.conftest import IN_NANOS, MODEL, OUT_NANOS, Stage
from tests.running import until

MEASURED = 11 * IN_NANOS + 7 * OUT_NANOS
SLOW = stream(("one", " two", " three"), pause_s=0.15)
LATE = (0.4, *SLOW)


def test_before_the_answer_begins_a_whole_one_is_charged_as_measured(stage: Stage) -> None:
    story = left_while_silent(stage, (0.4, *whole()), is_stream=False)
    assert (story.settled.basis, story.settled.charged_nanos) == ("measured", MEASURED)


def test_before_the_answer_begins_a_stream_is_read_to_its_end_and_charged_as_measured(
    stage: Stage,
) -> None:
    story = left_while_silent(stage, LATE, is_stream=True)
    assert (story.settled.basis, story.settled.charged_nanos) == ("measured", MEASURED)
    assert story.settled.ending == "client_gone"


def test_after_the_first_token(stage: Stage) -> None:
    story = left_at(stage, SLOW, b"one")
    assert (story.settled.basis, story.settled.charged_nanos) == ("measured", MEASURED)
    assert story.settled.ending == "client_gone"


def test_in_the_middle(stage: Stage) -> None:
    story = left_at(stage, SLOW, b"two")
    assert (story.settled.basis, story.settled.charged_nanos) == ("measured", MEASURED)


def test_in_the_middle_of_a_stream_that_never_tells_its_usage(stage: Stage) -> None:
    story = left_at(stage, stream(("one", " two"), usage=None, pause_s=0.15), b"one")
    check_estimate(story, 2)


def test_after_the_finish_reason_and_before_the_end_marker(stage: Stage) -> None:
    late_end: Script = (
        opened(),
        event_chunk(chunk({"content": "one"})),
        event_chunk(chunk({}, "stop")),
        0.4,
        event_chunk(DONE),
        b"0\r\n\r\n",
    )
    story = left_at(stage, late_end, b'"stop"')
    check_estimate(story, 1)


def test_a_provider_that_goes_on_for_too_long_is_cut_off_and_the_delivered_part_estimated(
    stage: Stage,
) -> None:
    words = [f" w{number}" for number in range(60)]
    story = left_at(stage, stream(words, pause_s=0.1), b"w1")
    assert story.settled.basis == "estimated"
    assert story.settled.ending == "client_gone"
    assert 2 < story.settled.usage.output < 100
    until(lambda: stage.provider.received[-1].is_abandoned, 3, "the provider is let go")


def test_a_provider_that_falls_silent_after_the_client_has_left(stage: Stage) -> None:
    story = left_at(stage, (opened(), event_chunk(chunk({"content": "one"})), HANG), b"one")
    check_estimate(story, 1)


def test_many_leave_at_once_and_each_is_charged_once(stage: Stage) -> None:
    """More than may be drained at a time: the rest is settled by estimate at once."""
    stage.provider.scripts["crowd"] = SLOW
    payer = stage.books.payer(100)

    def call_and_leave() -> None:
        fields: dict[str, Any] = {"metadata": {"script": "crowd"}}
        with stage.gateway.client(payer.key).stream(MODEL, **fields) as live:
            live.read_until(b"one")
            live.leave()

    threads = [threading.Thread(target=call_and_leave) for _ in range(60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until(lambda: stage.books.balance(payer.account_id).held_nanos == 0, 10, "all closed")
    stories = stage.books.stories(payer.account_id)
    assert len(stories) == 60
    assert {story.settled.ending for story in stories} == {"client_gone"}
    charged = sum(story.settled.charged_nanos for story in stories)
    assert stage.books.balance(payer.account_id).posted_nanos == 100 * 10**9 - charged


def test_places_for_draining_are_given_back(stage: Stage) -> None:
    for _ in range(3):
        left_at(stage, SLOW, b"one")
    assert stage.gateway.front.deadlines is not None
    until(lambda: len(stage.gateway.front.deadlines) == 0, 5, "no call in flight")


def test_a_client_that_reads_slowly_gets_all_of_it(stage: Stage) -> None:
    """A pause of the client's is not the provider's silence, which here ends a call after 1 s."""
    words = ["word " * 20_000] * 200
    stage.provider.scripts["long"] = stream(words)
    with stage.client.stream(MODEL, metadata={"script": "long"}) as live:
        live.read_until(b"word")
        time.sleep(2.5)
        body = live.read_all()
    assert body.count(b"word ") == 200 * 20_000
    assert body.endswith(DONE)
    assert settled_story(stage, live.request_id).settled.ending == "complete"


def left_while_silent(stage: Stage, script: Script, *, is_stream: bool) -> ChargeStory:
    """Send the request, wait until the provider has it, and leave before it answers."""
    stage.provider.scripts["left"] = script
    payer = stage.books.payer(5)
    calls = len(stage.provider.received)
    content = chat_request(MODEL, None, {"stream": is_stream, "metadata": {"script": "left"}})
    with socket.create_connection(("127.0.0.1", stage.gateway.port)) as raw:
        raw.sendall(as_request(payer.key, content))
        until(lambda: len(stage.provider.received) > calls, 5, "the provider was asked")
    until(lambda: stage.books.balance(payer.account_id).held_nanos == 0, 10, "closed")
    (story,) = stage.books.stories(payer.account_id)
    return story


def left_at(stage: Stage, script: Script, mark: bytes) -> ChargeStory:
    """Read a stream until `mark`, and reset the connection."""
    stage.provider.scripts["left"] = script
    with stage.client.stream(MODEL, metadata={"script": "left"}) as live:
        live.read_until(mark)
        live.leave()
    return settled_story(stage, live.request_id)


def settled_story(stage: Stage, request_id: str) -> ChargeStory:
    def closed() -> ChargeStory | None:
        found = stage.books.story(request_id)
        return found if len(found.events) > 1 else None

    story: ChargeStory = until(closed, 10, "closed")
    assert (
        story.settled.released_nanos
        == sum(
            one.event.hold_nanos  # type: ignore[attr-defined]
            for one in story.events[:-1]
        )
    )
    return story


def check_estimate(story: ChargeStory, output: int) -> None:
    settled = story.settled
    assert (settled.basis, settled.ending) == ("estimated", "client_gone")
    assert settled.usage.output == output
    assert_counted_input(story)
    assert settled.charged_nanos == settled.usage.input * IN_NANOS + output * OUT_NANOS


def as_request(key: str, content: object) -> bytes:
    body = json.dumps(content).encode()
    return (
        f"POST {CHAT} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    ).encode() + body
