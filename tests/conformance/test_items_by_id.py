"""Items of kept responses that are named by their ids in a later call, with the real OpenAI SDK."""

import itertools
from typing import Any

import openai
import psycopg
import pytest
from openai import OpenAI

from gateway.formats.openai_responses.translation import ResponsesTranslation
from gateway.stored_responses import store as responses
from tests.bookkeeping import Payer
from tests.conformance.keeping import (
    STREAMED_OR_NOT,
    USAGE,
    answers,
    events_of,
    keep_behind,
    place,
    response,
    translated,
)
from tests.fake_provider import FakeProvider, Received, Script, stream, whole
from tests.running import InProcess, in_process
from tests.servers import migrated_database
from tollgate.embedded.postgres import EmbeddedPostgres
from tollgate.embedded.valkey import EmbeddedValkey

MODEL, TRANSLATED = "items-behind", "items-elsewhere"
OUTPUT_TOKENS: int = USAGE["output_tokens"]
numbers = itertools.count()


@pytest.fixture(scope="module")
def payer(gateway: InProcess, provider: FakeProvider) -> Payer:
    books = gateway.books
    keep_behind(books, provider, MODEL)
    books.channel({TRANSLATED: "up"}, type_="openai", base_url=provider.base_url("kc"), keys=["k"])
    for model in (MODEL, TRANSLATED):
        books.price(model, input=1, cache_read=0.1, output=8)
    return books.payer(50)


def items() -> list[dict[str, Any]]:
    """A thought and a message, under ids that nothing else has."""
    number = next(numbers)
    return [
        {"id": f"rs_{number}", "type": "reasoning", "summary": []},
        {
            "id": f"msg_{number}",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "a fine answer", "annotations": []}],
        },
    ]


def answered(
    sdk: OpenAI,
    provider: FakeProvider,
    given: object = "hello",
    **fields: object,
) -> tuple[list[str], Received]:
    """The ids of a new response's items, and what its provider received."""
    output = items()
    answers(provider, response(f"resp_{output[0]['id']}", output=output))
    asked: Any = {"model": MODEL, "input": given, **fields}
    told = sdk.responses.create(**asked)
    return [item.id or "" for item in told.output], provider.received[-1]


def named(*item_ids: str) -> list[dict[str, str]]:
    return [{"type": "item_reference", "id": each} for each in item_ids]


def again(*item_ids: str) -> list[dict[str, Any]]:
    return [
        {"role": "user", "content": "hello"},
        *named(*item_ids),
        {"role": "user", "content": "and now?"},
    ]


def test_a_conversation_goes_on_where_its_items_are(sdk: OpenAI, provider: FakeProvider) -> None:
    known, began = answered(sdk, provider)
    for _ in range(8):
        given = again(*known)
        ids, received = answered(sdk, provider, given)
        assert place(received) == place(began)
        assert received.json()["input"] == given
        known += ids


def test_a_hold_covers_what_they_stand_for(
    gateway: InProcess, payer: Payer, sdk: OpenAI, provider: FakeProvider
) -> None:
    known, _ = answered(sdk, provider)
    holds = []
    for given in (again(), again(*known)):
        answered(sdk, provider, given)
        holds.append(gateway.books.stories(payer.account_id)[-1].opening.input_tokens_estimated)
    assert OUTPUT_TOKENS <= holds[1] - holds[0] <= OUTPUT_TOKENS + 100


def test_items_of_a_stream_are_known_as_well(sdk: OpenAI, provider: FakeProvider) -> None:
    for is_repeated in (True, False):  # some providers' last event does not say them again
        output = items()
        done = [
            {"type": "response.output_item.done", "output_index": at, "item": item}
            for at, item in enumerate(output)
        ]
        last = response(f"resp_{output[0]['id']}", output=output if is_repeated else [])
        script = events_of([*done, {"type": "response.completed", "response": last}])
        for prefix in ("ka", "kb"):
            provider.scripts[f"{prefix}/fine"] = script
        list(sdk.responses.create(model=MODEL, input="x", stream=True))
        made_there = place(provider.received[-1])
        given = again(*(item["id"] for item in output))
        assert place(answered(sdk, provider, given)[1]) == made_there


def test_what_is_not_this_accounts_is_not_found(
    gateway: InProcess, sdk: OpenAI, provider: FakeProvider
) -> None:
    (item_id, _), _ = answered(sdk, provider)
    unkept, _ = answered(sdk, provider, store=False)
    other = gateway.client(gateway.books.payer(5).key)
    sent = len(provider.received)
    for client_input in (named(item_id), named("msg_never")):
        asked = {"model": MODEL, "input": client_input}
        answer = other.call("POST", "/v1/responses", asked)
        assert (answer.status, answer.code) == (404, "item_not_found")
        assert answer.json()["error"]["param"] == "input"
    with pytest.raises(openai.NotFoundError) as failure:
        sdk.responses.create(model=MODEL, input=again(item_id, *unkept))  # type: ignore[arg-type]
    assert f"Item with id '{unkept[0]}' not found" in str(failure.value)
    assert len(provider.received) == sent


def test_items_that_are_apart_are_refused(
    gateway: InProcess, sdk: OpenAI, provider: FakeProvider
) -> None:
    (first, _), _ = answered(sdk, provider)
    (second, _), _ = answered(sdk, provider)
    with psycopg.connect(gateway.app_dsn) as connection:  # wherever they were made
        connection.execute(
            "update operations.kept_response set channel_key_id = gen_random_uuid() "
            "where item_ids && %s::text[]",
            ([second],),
        )
    with pytest.raises(openai.BadRequestError) as failure:
        sdk.responses.create(model=MODEL, input=again(first, second))  # type: ignore[arg-type]
    assert failure.value.code == "items_apart"


@pytest.mark.parametrize("script", STREAMED_OR_NOT, ids=["whole", "stream", "told as one"])
def test_what_was_translated_is_put_where_it_is_named(
    gateway: InProcess, sdk: OpenAI, provider: FakeProvider, script: Script | None
) -> None:
    """Whoever is asked then: a provider that keeps nothing, or one that keeps other things."""
    answer = translated(sdk, provider, TRANSLATED, script)
    (message,), text = answer.output, answer.output_text
    sdk.responses.create(model=TRANSLATED, input=again(message.id))  # type: ignore[arg-type]
    assert [one["role"] for one in provider.received[-1].json()["messages"]] == [
        "user",
        "assistant",
        "user",
    ]
    assert provider.received[-1].json()["messages"][1]["content"] == text
    known, there = answered(sdk, provider)
    _, received = answered(sdk, provider, again(message.id, *known))
    assert place(received) == place(there)
    given = received.json()["input"]
    assert given[1]["content"][0]["text"] == text
    assert given[2:4] == named(*known)
    with pytest.raises(openai.APIStatusError):
        sdk.responses.create(model=TRANSLATED, input=again(*known))  # type: ignore[arg-type]
    other = gateway.client(gateway.books.payer(5).key)
    asked = {"model": TRANSLATED, "input": named(message.id)}
    assert other.call("POST", "/v1/responses", asked).code == "item_not_found"


def test_no_two_answers_have_one_id_whatever_their_vendor_calls_them(
    sdk: OpenAI, provider: FakeProvider
) -> None:
    made = []
    for said in ("one", "two"):
        message = {"role": "assistant", "content": said}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        body = {"id": "chatcmpl-7.a/b", "object": "chat.completion", "choices": [choice]}
        provider.scripts["kc/fine"] = whole({**body, "created": 1, "model": "up"})
        made.append(sdk.responses.create(model=TRANSLATED, input="x"))
    assert [sdk.responses.retrieve(one.id).output_text for one in made] == ["one", "two"]
    given = again(*(one.output[0].id or "" for one in made))
    sdk.responses.create(model=TRANSLATED, input=given)  # type: ignore[arg-type]
    (said_before,) = [
        one["content"]
        for one in provider.received[-1].json()["messages"]
        if one["role"] == "assistant"
    ]
    assert [part["text"] for part in said_before] == ["one", "two"]
    del provider.scripts["kc/fine"]


def test_a_stream_whose_end_cannot_be_written_is_charged(
    gateway: InProcess, sdk: OpenAI, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault of ours behind what was delivered: the client lacks the end, we lack no charge."""

    def fails(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(ResponsesTranslation, "made", fails)
    monkeypatch.setitem(provider.scripts, "kc/fine", stream())
    raw = sdk.responses.with_raw_response.create(model=TRANSLATED, input="x", stream=True)
    with pytest.raises(openai.APIError):
        list(raw.parse())
    story = gateway.books.story(raw.headers["x-request-id"])
    assert story.names == ["QuotaReserved", "UsageSettled"]
    assert story.settled.charged_nanos > 0


def test_nothing_is_kept_here_where_that_is_not_wanted(
    postgres_server: EmbeddedPostgres, valkey_server: EmbeddedValkey, provider: FakeProvider
) -> None:
    with (
        migrated_database(postgres_server) as database,
        in_process(
            database.app_dsn, valkey_server.url, keeps_translated_responses=False
        ) as gateway,
    ):
        url = provider.base_url("kc")
        gateway.books.channel({TRANSLATED: "up"}, type_="openai", base_url=url, keys=["k"])
        gateway.books.price(TRANSLATED, input=1, output=8)
        client = gateway.client(gateway.books.payer(5).key)
        told = client.call("POST", "/v1/responses", {"model": TRANSLATED, "input": "x"}).json()
        assert told["store"] is False
        assert client.get(f"/v1/responses/{told['id']}").status == 404
        asked = {"model": TRANSLATED, "input": again(told["output"][0]["id"])}
        assert client.call("POST", "/v1/responses", asked).code == "item_not_found"


def test_an_item_that_is_named_twice_is_refused(sdk: OpenAI, provider: FakeProvider) -> None:
    (item_id, _), _ = answered(sdk, provider)
    with pytest.raises(openai.BadRequestError, match="Duplicate item"):
        sdk.responses.create(model=MODEL, input=again(item_id, item_id))  # type: ignore[arg-type]


def test_so_much_is_not_put_into_a_call(
    sdk: OpenAI, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    (message,) = sdk.responses.create(model=TRANSLATED, input="x").output
    monkeypatch.setattr(responses, "DOCUMENTS_MAX_BYTES", 100)
    sent = len(provider.received)
    with pytest.raises(openai.APIStatusError) as failure:
        sdk.responses.create(model=TRANSLATED, input=again(message.id or ""))  # type: ignore[arg-type]
    assert failure.value.status_code == 413
    assert len(provider.received) == sent


@pytest.mark.parametrize("item", [{}, {"id": None}, {"id": 7}, {"id": ""}, {"id": "x" * 300}])
def test_a_reference_to_nothing_is_refused(
    gateway: InProcess, payer: Payer, item: dict[str, object]
) -> None:
    asked = {"model": MODEL, "input": [{"type": "item_reference", **item}]}
    answer = gateway.client(payer.key).call("POST", "/v1/responses", asked)
    assert answer.status == 400
    assert answer.json()["error"]["param"] == "input[0].id"
