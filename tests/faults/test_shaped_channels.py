"""Channels that change what passes through them: who reads what, and that the hold covers it."""

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from ledger.ids import entity_id
from ledger.streams.routes import Shaping
from tests.fake_provider import DONE, chunk, completion, event_chunk, opened, whole
from tests.faults.conftest import IN_NANOS, OUT_NANOS, Stage

PROMPT = "Answer in rhymes. " * 40
THOUGHTS_AS_TEXT = Shaping(thinking_to_content=True)
Shaped = Callable[..., str]


@pytest.fixture(scope="module")
def shaped(stage: Stage) -> Shaped:
    """Sells a model over a channel of its own; the model's name."""

    def sell(upstream: str = "m", shaping: Shaping | None = None, prompt: str = "") -> str:
        model = f"shaped-{entity_id()}"
        base_url = stage.provider.base_url(model)
        stage.books.channel(
            {model: upstream}, type_="openai", base_url=base_url, keys=["k"],
            shaping=shaping, system_prompt=prompt,
        )  # fmt: skip
        stage.books.price(model, input=1, output=2)
        return model

    return sell


def sent(stage: Stage, model: str) -> dict[str, Any]:
    (received,) = stage.provider.calls_of(model)
    document: dict[str, Any] = received.json()
    return document


@pytest.mark.parametrize("leads", [True, False])
def test_a_channels_prompt_is_read_by_the_provider_and_covered_by_the_hold(
    stage: Stage, shaped: Shaped, leads: bool
) -> None:
    model = shaped(prompt=PROMPT, shaping=Shaping(system_prompt_leads=leads))
    own = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "x"}]
    answer = stage.client.chat(model, messages=own, max_tokens=1)
    assert answer.status == 200
    messages = sent(stage, model)["messages"]
    assert len(messages) == 2
    assert messages[0]["content"] == (f"{PROMPT}\nBe brief." if leads else "Be brief.")
    plain = stage.client.chat(shaped(), messages=own, max_tokens=1)
    with_prompt, without = (stage.books.story(each.request_id) for each in (answer, plain))
    added = with_prompt.opening.input_tokens_estimated - without.opening.input_tokens_estimated
    assert added >= 160
    assert with_prompt.opening.hold_nanos - without.opening.hold_nanos == added * IN_NANOS


def test_a_models_suffix_reaches_the_provider_as_an_effort_and_the_books_as_its_model(
    stage: Stage, shaped: Shaped
) -> None:
    model = shaped(upstream="o3-high")
    answer = stage.client.chat(model, max_tokens=9, temperature=0.5)
    assert answer.status == 200
    document = sent(stage, model)
    assert (document["model"], document["reasoning_effort"]) == ("o3", "high")
    assert (document["max_completion_tokens"], document.get("temperature")) == (9, None)
    assert answer.headers["x-tollgate-lost"] == "temperature"
    settled = stage.books.story(answer.request_id).settled
    assert (settled.terms.model, settled.upstream_model) == (model, "o3")


def test_thoughts_are_text_to_the_client_and_reasoning_to_the_books(
    stage: Stage, shaped: Shaped
) -> None:
    model = shaped(shaping=THOUGHTS_AS_TEXT)
    usage = {"prompt_tokens": 3, "completion_tokens": 7, "total_tokens": 10,
             "completion_tokens_details": {"reasoning_tokens": 4}}  # fmt: skip
    told = completion(usage=usage)
    told["choices"][0]["message"]["reasoning_content"] = "Let me see."
    stage.provider.scripts[f"{model}/fine"] = whole(told)
    answer = stage.client.chat(model)
    (choice,) = answer.json()["choices"]
    assert choice["message"]["content"] == "<think>\nLet me see.\n</think>\na fine answer"
    assert "reasoning_content" not in choice["message"]
    settled = stage.books.story(answer.request_id).settled
    assert (settled.usage.reasoning, settled.usage.output) == (4, 3)
    assert settled.charged_nanos == 3 * IN_NANOS + 7 * OUT_NANOS


def test_thoughts_are_text_in_a_stream_as_well(stage: Stage, shaped: Shaped) -> None:
    model = shaped(shaping=THOUGHTS_AS_TEXT)
    frames = [
        chunk({"role": "assistant", "reasoning_content": "Let "}),
        chunk({"reasoning_content": "me see."}),
        chunk({"content": "a fine"}),
        chunk({"content": " answer"}),
        chunk({}, "stop"),
    ]
    events = [*frames, DONE, b""]
    stage.provider.scripts[f"{model}/fine"] = (opened(), *map(event_chunk, events))
    answer = stage.client.chat(model, stream=True)
    told = [json.loads(each) for each in answer.frames if each != b"[DONE]"]
    deltas = [each["choices"][0]["delta"] for each in told if each["choices"]]
    said = "".join(each.get("content") or "" for each in deltas)
    assert said == "<think>\nLet me see.\n</think>\na fine answer"
    assert stage.books.story(answer.request_id).settled.basis == "estimated"


def test_a_channel_that_has_lost_its_prompt_answers_nobody(stage: Stage, shaped: Shaped) -> None:
    lost: UUID = entity_id()
    model = shaped(shaping=Shaping(system_prompt_id=lost))
    answer = stage.client.chat(model)
    assert answer.status == 502
    assert stage.provider.calls_of(model) == []
    assert stage.books.story(answer.request_id).refunded.reason == "upstream_error"


def test_c14_a_suffix_works_wherever_its_model_does_at_the_models_price(stage: Stage) -> None:
    model = f"own-{entity_id()}"
    base_url = stage.provider.base_url(model)
    stage.books.channel({model: "o3"}, type_="openai", base_url=base_url, keys=["k"])
    stage.books.price(model, input=1, output=2)
    answer = stage.client.chat(f"{model}-high", max_tokens=20)
    assert answer.status == 200
    document = sent(stage, model)
    assert (document["model"], document["reasoning_effort"]) == ("o3", "high")
    story = stage.books.story(answer.request_id)
    assert story.opening.terms.model == model


def test_c14_or_at_its_own_price_where_it_has_one(stage: Stage) -> None:
    model = f"own-{entity_id()}"
    base_url = stage.provider.base_url(model)
    stage.books.channel({model: "o3"}, type_="openai", base_url=base_url, keys=["k"])
    stage.books.price(model, input=1, output=2)
    stage.books.price(f"{model}-high", input=3, output=4)
    answer = stage.client.chat(f"{model}-high", max_tokens=20)
    assert answer.status == 200
    assert stage.books.story(answer.request_id).opening.terms.model == f"{model}-high"


@pytest.mark.parametrize("ending", ["-huge", "-", "-high-high-high"])
def test_c14_what_says_nothing_of_thinking_is_another_model(stage: Stage, ending: str) -> None:
    model = f"own-{entity_id()}"
    base_url = stage.provider.base_url(model)
    stage.books.channel({model: "o3"}, type_="openai", base_url=base_url, keys=["k"])
    stage.books.price(model, input=1, output=2)
    assert stage.client.chat(model + ending, max_tokens=20).status == 404
