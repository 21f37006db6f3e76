"""What the gateway once got wrong about what providers say and callers ask."""

import json
from uuid import UUID, uuid4

import psycopg
import pytest

from gateway.call import opening
from gateway.call.relay import Relay
from ledger.ids import key_digest
from projections import configuration
from tests.bookkeeping import assert_counted_input
from tests.calling import Answer, frames_of
from tests.fake_provider import (
    DONE,
    RESET,
    USAGE,
    Script,
    Step,
    chunk,
    completion,
    event_chunk,
    opened,
    stream,
    whole,
)
from tests.faults.conftest import IN_NANOS, MODEL, OUT_NANOS, Stage

MEASURED = 11 * IN_NANOS + 7 * OUT_NANOS
END = event_chunk(chunk({}, "stop")) + event_chunk(DONE) + b"0\r\n\r\n"
NOTHING_YET = event_chunk(chunk({"role": "assistant", "content": ""}))
PING = event_chunk(b": ping\n\n")

FORMLESS = {
    "no choice": completion(choices=[None]),
    "a message that is text": completion(choices=[{"index": 0, "message": "text"}]),
    "a tool call that is none": completion(choices=[{"message": {"tool_calls": [None]}}]),
}


@pytest.mark.parametrize("document", FORMLESS.values(), ids=FORMLESS)
def test_a_whole_answer_that_has_no_form_as_a_stream_is_a_failure_and_costs_nothing(
    stage: Stage, document: object
) -> None:
    payer = stage.books.payer(5)
    stage.provider.scripts["formless"] = whole(document)
    client = stage.gateway.client(payer.key)
    answer = client.chat(MODEL, stream=True, metadata={"script": "formless"})
    assert (answer.status, answer.code) == (502, "upstream_error")
    story = stage.books.story(answer.request_id)
    assert story.names == ["QuotaReserved", "RefundIssued"]
    assert [one.outcome for one in story.refunded.attempts] == ["failed"]
    assert stage.books.balance(payer.account_id).posted_nanos == 5 * 10**9


@pytest.mark.parametrize("usage", [USAGE, None], ids=["measured", "estimated"])
def test_half_a_surrogate_pair_in_a_stream_is_passed_on_and_charged(
    stage: Stage, usage: object
) -> None:
    stage.provider.scripts["half"] = stream(["a", "\ud83d", "\ude00", " b", "\ud83d"], usage=usage)
    answer = stage.client.chat(MODEL, stream=True, metadata={"script": "half"})
    assert answer.frames[-1] == b"[DONE]"
    assert answer.body.count(rb"\ud83d") == 2
    settled = stage.books.story(answer.request_id).settled
    assert settled.ending == "complete"
    assert settled.basis == ("measured" if usage else "estimated")
    assert settled.usage.output == 7 if usage else 3 <= settled.usage.output <= 12


def test_prose_that_uses_exactly_its_limit_is_not_cut_with_money_for_one_hold(stage: Stage) -> None:
    pieces = [" internationally", " recognized", " environmental", " organizations"] * 50
    limit = stage.gateway.front.tokenizer.count(MODEL, ["".join(pieces)])
    assert sum(map(len, pieces)) // 4 > limit + 64, "by its bytes it would be too much"
    usage = {**USAGE, "completion_tokens": limit, "total_tokens": 11 + limit}
    stage.provider.scripts["prose"] = stream(pieces, usage=usage)

    def call(key: str) -> Answer:
        client = stage.gateway.client(key)
        return client.chat(MODEL, stream=True, max_tokens=limit, metadata={"script": "prose"})

    rich = stage.books.story(call(stage.payer.key).request_id)
    poor = stage.books.payer(0)
    stage.books.credit(poor.account_id, rich.opening.hold_nanos)
    answer = call(poor.key)
    assert answer.frames[-1] == b"[DONE]"
    for story in (rich, stage.books.story(answer.request_id)):
        assert story.names == ["QuotaReserved", "UsageSettled"]
        assert (story.settled.ending, story.settled.usage.output) == ("complete", limit)


def test_usage_that_was_told_before_the_output_is_no_measure_of_a_stream_that_breaks_off(
    stage: Stage,
) -> None:
    early = {"prompt_tokens": 11, "completion_tokens": 0, "total_tokens": 11}
    told = event_chunk(b'data: {"choices":[],"usage":%s}\n\n' % json.dumps(early).encode())
    word = event_chunk(chunk({"content": " word"}))
    stage.provider.scripts["early"] = (opened(), told, word * 500, 0.2, RESET)
    answer = stage.client.chat(MODEL, stream=True, metadata={"script": "early"})
    assert json.loads(answer.frames[-1])["error"]["code"] == "upstream_error"
    story = stage.books.story(answer.request_id)
    settled = story.settled
    assert (settled.basis, settled.ending) == ("estimated", "provider_failed")
    assert settled.usage.output == answer.body.count(b" word") == 500
    assert_counted_input(story)
    assert settled.charged_nanos == settled.usage.input * IN_NANOS + 500 * OUT_NANOS


# ---------------------------------------------------------------------- a provider that thinks


def test_a_client_hears_of_a_provider_that_only_thinks_aloud(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "_COMMITTED_AFTER_MS", 200)
    thinking: tuple[Step, ...] = (PING, 0.1, NOTHING_YET, 0.1) * 3
    told = thinking_then(stage, (*thinking, event_chunk(chunk({"content": "so"})), END))
    assert told.body.startswith(b": ping")
    assert told.frames[-1] == b"[DONE]"
    settled = stage.books.story(told.request_id).settled
    assert (settled.ending, settled.basis, settled.usage.output) == ("complete", "estimated", 1)
    check_broken_without_content(stage, (*thinking, RESET))


def test_a_client_hears_of_a_provider_that_sends_blank_lines(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """White space says nothing of what will come: no more than any other silence does."""
    monkeypatch.setattr(opening, "_COMMITTED_AFTER_MS", 200)
    blank: tuple[Step, ...] = (event_chunk(b"\n\n"), 0.1) * 4
    told = thinking_then(stage, (*blank, event_chunk(chunk({"content": "so"})), END))
    assert told.body.startswith(b"\n\n")
    assert told.frames[-1] == b"[DONE]"


def test_a_provider_that_thinks_in_many_pieces_and_fails_is_refunded(stage: Stage) -> None:
    check_broken_without_content(stage, (NOTHING_YET * 300, 0.3, RESET))


def check_broken_without_content(stage: Stage, script: Script) -> None:
    """The client has its headers already, so it is told by an error in the stream."""
    answer = thinking_then(stage, script)
    assert json.loads(answer.frames[-1])["error"]["code"] == "upstream_error"
    assert b"[DONE]" not in answer.body
    story = stage.books.story(answer.request_id)
    assert story.names == ["QuotaReserved", "RefundIssued"]
    assert story.refunded.reason == "provider_failed"
    assert [one.outcome for one in story.refunded.attempts] == ["cut"]


def thinking_then(stage: Stage, script: Script) -> Answer:
    """The answer to a stream of this script; 200 before anything was said."""
    stage.provider.scripts["thinks"] = (opened(), *script)
    with stage.client.stream(MODEL, metadata={"script": "thinks"}) as live:
        headers = {name.lower(): value for name, value in live.response.getheaders()}
        body = live.read_all()
    assert frames_of(body)
    return Answer(200, headers, body)


# ---------------------------------------------------------------------- callers


def test_models_that_nobody_knows_are_not_remembered(stage: Stage) -> None:
    relay = stage.gateway.front.gateway._routes["/v1/chat/completions"]["POST"].__self__  # type: ignore[attr-defined]
    assert isinstance(relay, Relay)
    assert stage.client.chat(MODEL).status == 200
    options = relay._admissions._options
    before = set(options)
    statuses = {stage.client.chat(f"invented-{number}").status for number in range(30)}
    assert statuses == {404}
    assert set(options) == before
    assert ("default", MODEL) in before


def test_invented_keys_drive_no_known_caller_out(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(configuration, "_CACHED_MAX", 100)
    held = stage.gateway.core.configuration
    assert stage.client.chat(MODEL).status == 200
    present_invented_keys(stage)
    assert key_digest(stage.payer.key) in held._callers


def test_of_invented_keys_only_so_many_are_remembered(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(configuration, "_STRANGERS_MAX", 100)
    held = stage.gateway.core.configuration
    known = set(held._callers)
    present_invented_keys(stage)
    assert len(held._strangers) == 100
    assert set(held._callers) == known
    assert len(held._digests_of) <= 100 + 2 * len(known)


def present_invented_keys(stage: Stage) -> None:
    held = stage.gateway.core.configuration

    async def present() -> None:
        for _ in range(300):
            assert await held.caller(f"sk-invented-{uuid4().hex}") is None

    stage.gateway.loop.run(present())


def test_a_refusal_is_found_under_the_id_that_its_client_saw(stage: Stage) -> None:
    answer = stage.client.chat("nobody-has-this")
    assert (answer.status, answer.code) == (404, "model_not_found")
    stage.gateway.loop.run(stage.gateway.front.refusals.flush())
    with psycopg.connect(stage.owner_dsn) as connection:
        found = connection.execute(
            "select account_id, key_id, model, status, code from operations.refusal "
            "where refusal_id = %s",
            (UUID(answer.request_id),),
        ).fetchone()
    payer = stage.payer
    expected = (payer.account_id, payer.key_id, "nobody-has-this", 404, "model_not_found")
    assert found == expected


# ---------------------------------------------------------------------- the echo provider


@pytest.fixture(scope="module")
def echo(stage: Stage) -> str:
    """A model of the echo provider."""
    stage.books.channel(["echo"])
    stage.books.price("echo", input=1, output=2)
    return "echo"


def test_echo_says_no_more_words_than_the_limit_however_many_are_asked_for(
    stage: Stage, echo: str
) -> None:
    answer = stage.client.chat(echo, echo="words=300000000", max_tokens=5)
    (choice,) = answer.json()["choices"]
    assert choice["message"]["content"] == "word word word word word"
    assert choice["finish_reason"] == "length"
    assert stage.books.story(answer.request_id).settled.usage.output == 5


@pytest.mark.parametrize(
    "order",
    [
        "words=many",
        "words=-1",
        "words=²",
        "fail=badly",
        "delay_ms=1.5",
        f"delay_ms={'9' * 400}",
        "stall_ms=",
        "cut_after=x",
        "usage=1",
        "usage=a/b",
        "usage=1/2/3",
        f"usage=1/{'9' * 30}",
    ],
    ids=lambda order: order[:20],
)
def test_echo_refuses_orders_that_are_no_numbers(stage: Stage, echo: str, order: str) -> None:
    answer = stage.client.chat(echo, echo=order)
    assert answer.status == 400, answer
    assert answer.json()["error"]["type"] == "invalid_request_error"
    story = stage.books.story(answer.request_id)
    assert [(one.outcome, one.status) for one in story.refunded.attempts] == [("refused", 400)]
