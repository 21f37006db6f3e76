"""A channel may say by when a stream must have said something: else another one is asked."""

import pytest

from ledger.streams.routes import Way
from tests.fake_provider import HANG, Script, chunk, event_chunk, opened, stream
from tests.faults.conftest import Stage
from tests.faults.keyed_provider import KeyedProvider, Keys

ROLE = event_chunk(chunk({"role": "assistant", "content": ""}))
PING = event_chunk(b": ping\n\n")
THOUGHT = event_chunk(chunk({"reasoning_content": "hm"}))
ANSWER = (event_chunk(chunk({"content": "late"})), event_chunk(b"data: [DONE]\n\n"), b"0\r\n\r\n")
WAY = Way(first_content_ms=400, idle_ms=20_000)

SILENT: dict[str, Script] = {
    "headers alone": (opened(), HANG),
    "a role and nothing else": (opened(), ROLE, HANG),
    "pings": (opened(), PING, 0.2, PING, 0.2, PING, 0.2, PING, 0.2, PING, HANG),
    "something, too late": (opened(), ROLE, 1.5, *ANSWER),
}


@pytest.mark.parametrize("name", SILENT)
def test_c7_a_stream_that_says_nothing_in_time_is_asked_of_another(
    stage: Stage, vendor: KeyedProvider, name: str
) -> None:
    keys = Keys(stage, vendor, [SILENT[name], stream()], one_channel=False, way=WAY)
    answer = stage.client.chat(keys.model, stream=True)
    assert answer.frames[-1] == b"[DONE]"
    assert keys.asked() == [1, 1]
    story = stage.books.story(answer.request_id)
    assert [one.outcome for one in story.settled.attempts] == ["timeout", "answered"]


@pytest.mark.parametrize("said", [THOUGHT, event_chunk(chunk({"content": "a"}))])
def test_c7_whoever_has_begun_or_thinks_is_waited_for(
    stage: Stage, vendor: KeyedProvider, said: bytes
) -> None:
    script = (opened(), ROLE, said, 1.0, *ANSWER)
    keys = Keys(stage, vendor, [script, stream()], one_channel=False, way=WAY)
    answer = stage.client.chat(keys.model, stream=True)
    assert answer.frames[-1] == b"[DONE]"
    assert any(b"late" in frame for frame in answer.frames)
    assert keys.asked() == [1, 0]
