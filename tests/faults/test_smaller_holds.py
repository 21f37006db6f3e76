"""D17: where an account cannot pay for what is usually held, a call that sets no limit gets one."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest

from gateway.call.smaller_hold import affordable_tokens, worst_nanos
from gateway.formats.registry import FORMATS
from ledger.pricing import Multiplier, Price
from ledger.streams import account, api_key, setting
from ledger.streams.charge.events import Cover, Terms
from ledger.streams.charge.rules import Reserve
from projections.configuration import SHRINKS_HOLDS_SETTING
from tests.bookkeeping import ACTOR, Payer
from tests.calling import MESSAGES, Answer
from tests.fake_provider import completion, whole
from tests.faults.conftest import IN_NANOS, MODEL, OUT_NANOS, Stage

_ID = UUID(int=1)
LIMIT = "x-tollgate-max-output-tokens"
LIMITS = ("max_completion_tokens", "max_tokens", "max_output_tokens")
ASKED: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/v1/chat/completions", {"model": MODEL, "messages": MESSAGES}),
    "completions": ("/v1/completions", {"model": MODEL, "prompt": "one two three"}),
    "responses": ("/v1/responses", {"model": MODEL, "input": "one two three", "store": False}),
    "gemini": (
        f"/v1beta/models/{MODEL}:generateContent",
        {"contents": [{"role": "user", "parts": [{"text": "one two three"}]}]},
    ),
}


def ask(stage: Stage, payer: Payer, client: str = "chat", **members: object) -> Answer:
    path, document = ASKED[client]
    return stage.gateway.client(payer.key).call("POST", path, {**document, **members})


@pytest.mark.parametrize("client", ["chat", "responses", "gemini"])
def test_d17_half_of_what_is_there_is_held_and_the_provider_is_told(
    stage: Stage, client: str
) -> None:
    payer = stage.books.payer(0.004)
    answer = ask(stage, payer, client)
    assert answer.status == 200, answer.body
    story = stage.books.story(answer.request_id)
    opening = story.opening
    limit = (2_000_000 - opening.input_tokens_estimated * IN_NANOS) // OUT_NANOS
    assert int(answer.headers[LIMIT]) == opening.output_tokens_max == limit
    assert opening.hold_nanos == opening.input_tokens_estimated * IN_NANOS + limit * OUT_NANOS
    sent = stage.provider.received[-1].json()
    assert [sent[name] for name in LIMITS if name in sent] == [limit]
    assert story.settled.charged_nanos == 11 * IN_NANOS + 7 * OUT_NANOS


def test_d17_of_several_choices_each_gets_its_share(stage: Stage) -> None:
    answer = ask(stage, stage.books.payer(0.004), n=2)
    assert answer.status == 200
    opening = stage.books.story(answer.request_id).opening
    limit = int(answer.headers[LIMIT])
    assert opening.output_tokens_max == 2 * limit
    assert stage.provider.received[-1].json()["max_tokens"] == limit
    assert opening.hold_nanos <= 2_000_000


def test_d17_it_is_256_tokens_at_least_or_a_refusal(stage: Stage) -> None:
    answer = ask(stage, stage.books.payer(0.0006))
    assert (answer.status, answer.headers[LIMIT]) == (200, "256")
    refused = ask(stage, stage.books.payer(0.0005))
    assert (refused.status, refused.code) == (429, "insufficient_quota")
    assert LIMIT not in refused.headers


def test_d17_calls_side_by_side_are_not_starved_by_one(stage: Stage) -> None:
    payer = stage.books.payer(0.006)
    slow = (0.4, *whole(completion()))
    stage.provider.scripts["beside"] = slow
    with ThreadPoolExecutor(3) as pool:
        asking = [pool.submit(ask, stage, payer, metadata={"script": "beside"}) for _ in range(3)]
        answers = [one.result() for one in asking]
    assert [answer.status for answer in answers] == [200, 200, 200]
    holds = [stage.books.story(answer.request_id).opening.hold_nanos for answer in answers]
    assert max(holds) <= 3_000_000


@pytest.mark.parametrize("scope", ["key", "day"])
def test_d17_the_scope_that_falls_short_says_what_is_there(stage: Stage, scope: str) -> None:
    if scope == "key":
        payer = stage.books.payer(5, terms=api_key.KeyTerms(limit_nanos=4_000_000))
    else:
        payer = stage.books.payer(5, limits=account.SpendingLimits(day_nanos=4_000_000))
    answer = ask(stage, payer)
    assert answer.status == 200
    assert stage.books.story(answer.request_id).opening.hold_nanos <= 2_000_000


def test_d17_a_limit_of_the_clients_own_is_not_touched(stage: Stage) -> None:
    refused = ask(stage, stage.books.payer(0.004), max_tokens=4_096)
    assert (refused.status, refused.code) == (429, "insufficient_quota")


def test_d17_where_there_is_enough_nothing_is_said(stage: Stage) -> None:
    answer = ask(stage, stage.books.payer(1))
    assert LIMIT not in answer.headers
    assert not set(LIMITS) & set(stage.provider.received[-1].json())


def test_d17_an_operator_may_want_refusals_instead(stage: Stage) -> None:
    stream_id = setting.setting_stream_id(SHRINKS_HOLDS_SETTING)

    def change(value: str) -> None:
        command = setting.ChangeSetting(SHRINKS_HOLDS_SETTING, value, ACTOR)
        stage.books.command(setting.STREAM, stream_id, command, seen=True)

    change("no")
    refused = ask(stage, stage.books.payer(0.004))
    change("yes")
    assert (refused.status, refused.code) == (429, "insufficient_quota")
    assert ask(stage, stage.books.payer(0.004)).status == 200


@pytest.mark.parametrize("client", [*ASKED, "messages"])
def test_d17_each_format_says_the_limit_in_its_own_word(client: str) -> None:
    document = ASKED.get(client, ("", {}))[1]
    names = {"chat": "openai_chat", "completions": "openai_completions", "gemini": "gemini"}
    names |= {"responses": "openai_responses", "messages": "anthropic_messages"}
    client_format = FORMATS[names[client]]
    if client == "messages":
        document = {"model": MODEL, "max_tokens": 9, "messages": MESSAGES}
    call = client_format.read_request(document, json.dumps(document).encode())
    limited = {**document, **client_format.limit_members(call, 300)}
    again = client_format.read_request(limited, json.dumps(limited).encode())
    assert again.max_output_tokens == 300


def test_d17_geminis_settings_keep_the_clients_own_spelling() -> None:
    for spelled in ("generationConfig", "generation_config"):
        document = {**ASKED["gemini"][1], spelled: {"temperature": 0}}
        call = FORMATS["gemini"].read_request(document, json.dumps(document).encode())
        members = FORMATS["gemini"].limit_members(call, 300)
        assert members == {spelled: {"temperature": 0, "maxOutputTokens": 300}}


@pytest.mark.parametrize(
    ("available_nanos", "expected"),
    [
        (0, None),
        (611_999, None),
        (612_000, 256),
        (1_227_999, 256),
        (1_228_000, 257),
        (16_000_000, 3_950),
    ],
)
def test_d17_what_half_of_it_pays_for(available_nanos: int, expected: int | None) -> None:
    """100 tokens of input at 1,000 nanos, output at 2,000."""
    reserve = Reserve(
        hold_nanos=0,
        cover=Cover(account_id=_ID, key_id=_ID),
        terms=Terms(model=MODEL, group="default", price_version=1, multiplier=Multiplier()),
        admitted_at_us=0,
        node="test",
        boot=_ID,
        dialect="openai_chat",
        streaming=False,
        input_tokens_estimated=100,
        output_tokens_max=4_096,
    )
    price = Price(rates={"input": 10**9, "output": 2 * 10**9})
    found = affordable_tokens(reserve, price, available_nanos, 256)
    assert found == expected
    if found is not None and found > 256:
        assert worst_nanos(reserve, price, found) <= available_nanos // 2
        assert worst_nanos(reserve, price, found + 1) > available_nanos // 2
