"""A12: the end of a format is the end of the answer, whatever the provider does with its body."""

import time

import pytest

from tests.calling import Answer
from tests.fake_provider import (
    DONE,
    HANG,
    USAGE,
    Script,
    chunk,
    event_chunk,
    opened,
)
from tests.faults.conftest import IN_NANOS, MODEL, OUT_NANOS, Stage
from tests.running import until

MEASURED = 11 * IN_NANOS + 7 * OUT_NANOS
WORDS: Script = (opened(), event_chunk(chunk({"content": "one two"})))
LAST = event_chunk(chunk({}, "stop"))
TOLD = event_chunk(
    b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[],'
    b'"usage":{"prompt_tokens":11,"completion_tokens":7,"total_tokens":18}}\n\n'
)
ENDLESS: dict[str, Script] = {
    "it does not close": (*WORDS, LAST, TOLD, event_chunk(DONE), HANG),
    "it goes on sending": (
        *WORDS,
        LAST,
        TOLD,
        event_chunk(DONE),
        *((event_chunk(chunk({"content": " more"})), 0.02) * 200),
    ),
    "it says its end twice": (*WORDS, LAST, TOLD, event_chunk(DONE), event_chunk(DONE), HANG),
    "it pings": (*WORDS, LAST, TOLD, event_chunk(DONE), *((event_chunk(b": ping\n\n"), 0.05) * 99)),
    "in one piece": (
        opened() + event_chunk(chunk({"content": "one two"})) + LAST + TOLD + event_chunk(DONE),
        HANG,
    ),
}
assert USAGE["prompt_tokens"] == 11


def asked(stage: Stage, script: Script) -> tuple[Answer, float]:
    stage.provider.scripts["endless"] = script
    started_s = time.monotonic()
    answer = stage.client.chat(MODEL, stream=True, metadata={"script": "endless"})
    return answer, time.monotonic() - started_s


@pytest.mark.parametrize("script", ENDLESS.values(), ids=ENDLESS)
def test_a12_the_end_of_a_stream_does_not_wait_for_the_end_of_its_body(
    stage: Stage, script: Script
) -> None:
    answer, took_s = asked(stage, script)
    assert answer.frames[-1] == b"[DONE]"
    assert b"more" not in answer.body
    story = stage.books.story(answer.request_id)
    assert (story.settled.ending, story.settled.charged_nanos) == ("complete", MEASURED)
    assert took_s < 0.9, "the patience with a silent provider is a second here"
    until(lambda: stage.provider.received[-1].is_abandoned or "sending" in str(script), 3)


def test_a12_without_an_end_marker_usage_is_waited_for(stage: Stage) -> None:
    script: Script = (*WORDS, LAST, 0.4, TOLD, HANG)
    answer, _ = asked(stage, script)
    assert answer.frames[-1] == b"[DONE]"
    story = stage.books.story(answer.request_id)
    assert (story.settled.ending, story.settled.charged_nanos) == ("complete", MEASURED)
