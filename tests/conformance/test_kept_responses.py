"""Responses that a provider keeps, with the real OpenAI SDK: found again at the channel and the key
that made them, by the account they were made for, and by nobody else."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import openai
import psycopg
import pytest
from openai import OpenAI

from ledger.usage import Usage
from tests.bookkeeping import Payer
from tests.calling import Client
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
from tests.fake_provider import FakeProvider, Received, Script, whole
from tests.running import InProcess, until

OWN, CHAT, GONE = "kept-behind", "chat-k", "kept-and-gone"
CONTEXT_TOKENS = 1_000
STREAMED: list[dict[str, Any]] = [
    {
        "type": "response.created",
        "response": response("resp_stream", status="in_progress", output=[], usage=None),
        "sequence_number": 0,
    },
    {
        "type": "response.output_text.delta",
        "delta": "a fine answer",
        "output_index": 0,
        "content_index": 0,
        "item_id": "msg_1",
        "sequence_number": 1,
    },
    {"type": "response.completed", "response": response("resp_stream"), "sequence_number": 2},
]


@pytest.fixture(scope="module")
def payer(gateway: InProcess, provider: FakeProvider) -> Payer:
    books = gateway.books
    keep_behind(books, provider, OWN)
    books.channel({CHAT: "up"}, type_="openai", base_url=provider.base_url("kc"), keys=["k"])
    for model in (OWN, CHAT, GONE):
        books.price(model, input=1, cache_read=0.1, output=8)
    return books.payer(50)


def made(sdk: OpenAI, provider: FakeProvider, response_id: str, **fields: object) -> Received:
    """A response made through the gateway; what its provider received."""
    answers(provider, response(response_id))
    asked: Any = {"model": OWN, "input": "hello", **fields}
    assert sdk.responses.create(**asked).id == response_id
    return provider.received[-1]


def rows(gateway: InProcess, response_id: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(gateway.app_dsn) as connection:
        return connection.execute(
            "select account_id, key_id, channel_key_id, model, context_tokens "
            "from operations.kept_response where response_id = %s",
            (response_id,),
        ).fetchall()


# ---------------------------------------------------------------------- going on


def test_what_is_kept_is_remembered_with_its_context(
    gateway: InProcess, payer: Payer, sdk: OpenAI, provider: FakeProvider
) -> None:
    made(sdk, provider, "resp_context")
    ((account_id, key_id, channel_key_id, model, context_tokens),) = rows(gateway, "resp_context")
    assert (account_id, key_id, model) == (payer.account_id, payer.key_id, OWN)
    assert isinstance(channel_key_id, UUID)
    assert context_tokens == CONTEXT_TOKENS


def test_a_conversation_goes_on_where_it_began(sdk: OpenAI, provider: FakeProvider) -> None:
    began = place(made(sdk, provider, "resp_0"))
    for number in range(1, 9):
        received = made(sdk, provider, f"resp_{number}", previous_response_id=f"resp_{number - 1}")
        assert place(received) == began
        assert received.json()["previous_response_id"] == f"resp_{number - 1}"
        assert received.json()["model"] == "up"


def test_c19_a_response_is_gone_on_from_without_anything_new(
    sdk: OpenAI, provider: FakeProvider
) -> None:
    made(sdk, provider, "resp_before")
    answers(provider, response("resp_after"))
    assert sdk.responses.create(model=OWN, previous_response_id="resp_before").id == "resp_after"
    assert "input" not in provider.received[-1].json()


def test_a_hold_covers_what_the_provider_reads_again(
    gateway: InProcess, sdk: OpenAI, provider: FakeProvider
) -> None:
    answers(provider, response("resp_hold"))
    raw = sdk.responses.with_raw_response.create(model=OWN, input="hello")
    alone = gateway.books.story(raw.headers["x-request-id"]).opening
    raw = sdk.responses.with_raw_response.create(
        model=OWN, input="hello", previous_response_id="resp_hold"
    )
    story = gateway.books.story(raw.headers["x-request-id"])
    more = story.opening.input_tokens_estimated - alone.input_tokens_estimated
    assert more >= CONTEXT_TOKENS
    assert story.opening.hold_nanos > alone.hold_nanos
    assert story.settled.usage == Usage(
        input=600, cache_read=100, output=100, reasoning=200, calls=1
    )


def test_more_than_was_held_is_billed_all_the_same(
    gateway: InProcess, sdk: OpenAI, provider: FakeProvider
) -> None:
    made(sdk, provider, "resp_small")
    huge = {"input_tokens": 900_000, "output_tokens": 1, "total_tokens": 900_001}
    answers(provider, response("resp_huge", usage=huge))
    raw = sdk.responses.with_raw_response.create(
        model=OWN, input="x", previous_response_id="resp_small"
    )
    story = gateway.books.story(raw.headers["x-request-id"])
    assert story.names == ["QuotaReserved", "QuotaReserved", "UsageSettled"]
    assert story.settled.charged_nanos == 900_000 * 1_000 + 8_000
    assert story.settled.shortfall_nanos == 0


def test_without_a_word_on_usage_the_context_is_counted_too(
    gateway: InProcess, sdk: OpenAI, provider: FakeProvider
) -> None:
    made(sdk, provider, "resp_told")
    answers(provider, response("resp_untold", usage=None))
    raw = sdk.responses.with_raw_response.create(
        model=OWN, input="x", previous_response_id="resp_told"
    )
    settled = gateway.books.story(raw.headers["x-request-id"]).settled
    assert settled.basis == "estimated"
    assert settled.usage.input >= CONTEXT_TOKENS


def test_a_stream_is_kept_once_its_end_is_seen(
    gateway: InProcess, sdk: OpenAI, provider: FakeProvider
) -> None:
    for prefix in ("ka", "kb"):
        provider.scripts[f"{prefix}/fine"] = events_of(STREAMED)
    seen = list(sdk.responses.create(model=OWN, input="x", stream=True))
    assert seen[-1].type == "response.completed"
    assert len(rows(gateway, "resp_stream")) == 1
    went_on = made(sdk, provider, "resp_after", previous_response_id="resp_stream")
    assert went_on.json()["previous_response_id"] == "resp_stream"


@pytest.mark.parametrize("fields", [{"store": False}, {"told": False}])
def test_what_is_not_kept_is_not_remembered(
    gateway: InProcess, sdk: OpenAI, provider: FakeProvider, fields: dict[str, Any]
) -> None:
    response_id = "resp_unkept"
    answers(provider, response(response_id, store=fields.get("told", True)))
    asked: dict[str, Any] = {"store": False} if "store" in fields else {}
    assert sdk.responses.create(model=OWN, input="x", **asked).id == response_id
    assert rows(gateway, response_id) == []
    with pytest.raises(openai.NotFoundError):
        sdk.responses.retrieve(response_id)


@pytest.mark.parametrize("script", STREAMED_OR_NOT, ids=["whole", "stream", "told as one"])
def test_what_is_translated_is_kept_here(
    gateway: InProcess, payer: Payer, sdk: OpenAI, provider: FakeProvider, script: Script | None
) -> None:
    """Its provider does not know it by the name that it has for the client."""
    answer = translated(sdk, provider, CHAT, script)
    sent = len(provider.received)
    charges = len(gateway.books.stories(payer.account_id))
    assert sdk.responses.retrieve(answer.id) == answer
    for ask in (sdk.responses.cancel, sdk.responses.input_items.list):
        with pytest.raises(openai.BadRequestError):
            ask(answer.id)
    with pytest.raises(openai.BadRequestError) as failure:
        sdk.responses.create(model=CHAT, input="x", previous_response_id=answer.id)
    assert failure.value.code == "previous_response_unavailable"
    other = gateway.client(gateway.books.payer(5).key)
    assert other.get(f"/v1/responses/{answer.id}").status == 404
    sdk.responses.delete(answer.id)
    with pytest.raises(openai.NotFoundError):
        sdk.responses.retrieve(answer.id)
    with psycopg.connect(gateway.app_dsn) as connection:
        cells = connection.execute("select from vault.cell where kind = 'kept_response'")
        assert cells.fetchall() == []
    assert len(provider.received) == sent
    assert len(gateway.books.stories(payer.account_id)) == charges


def test_what_is_translated_is_not_kept_where_that_is_not_wanted(
    gateway: InProcess, sdk: OpenAI
) -> None:
    answer = sdk.responses.create(model=CHAT, input="x", store=False)
    assert rows(gateway, answer.id) == []
    with pytest.raises(openai.NotFoundError):
        sdk.responses.retrieve(answer.id)


def test_where_nothing_can_be_remembered_no_end_is_given(
    gateway: InProcess, sdk: OpenAI, provider: FakeProvider
) -> None:
    """A whole answer is refused and costs nothing; a stream breaks off and is paid for."""

    def whole_answer() -> str:
        with pytest.raises(openai.APIStatusError) as failure:
            sdk.responses.create(model=OWN, input="x")
        assert failure.value.status_code == 503
        return failure.value.response.headers["x-request-id"]

    def streamed_answer() -> str:
        raw = sdk.responses.with_raw_response.create(model=OWN, input="x", stream=True)
        seen: list[str] = []
        with pytest.raises(openai.APIError):
            seen.extend(event.type for event in raw.parse())
        assert "response.completed" not in seen
        return raw.headers["x-request-id"]

    answers(provider, response("resp_lost"))
    sent = len(provider.received)
    with psycopg.connect(gateway.app_dsn) as connection, ThreadPoolExecutor() as threads:
        connection.execute("lock table operations.kept_response in share mode")
        refused = threads.submit(whole_answer)
        until(lambda: len(provider.received) > sent, 5)
        for prefix in ("ka", "kb"):
            provider.scripts[f"{prefix}/fine"] = events_of(STREAMED)
        broken = threads.submit(streamed_answer)
        refund, paid = (gateway.books.story(one.result(20)) for one in (refused, broken))
    assert refund.refunded.reason == "undelivered"
    assert paid.names == ["QuotaReserved", "UsageSettled"]
    assert rows(gateway, "resp_lost") == []


# ---------------------------------------------------------------------- asking again


def test_it_is_seen_again_at_the_channel_and_key_that_made_it(
    gateway: InProcess, payer: Payer, sdk: OpenAI, provider: FakeProvider
) -> None:
    for number in range(6):
        made_there = place(made(sdk, provider, f"resp_seen_{number}"))
        charges = len(gateway.books.stories(payer.account_id))
        again = sdk.responses.retrieve(
            f"resp_seen_{number}", include=["reasoning.encrypted_content"]
        )
        assert again.output_text == "a fine answer"
        received = provider.received[-1]
        assert place(received) == made_there
        path = f"/{made_there[0]}/v1/responses/resp_seen_{number}"
        assert received.path.partition("?")[0] == path
        assert "include" in received.path
        assert (received.method, received.body) == ("GET", b"")
        assert len(gateway.books.stories(payer.account_id)) == charges


def test_its_input_is_listed(sdk: OpenAI, provider: FakeProvider) -> None:
    there = place(made(sdk, provider, "resp_items"))
    listed: dict[str, Any] = {
        "object": "list",
        "data": [],
        "first_id": None,
        "last_id": None,
        "has_more": False,
    }
    answers(provider, listed)
    assert sdk.responses.input_items.list("resp_items", limit=3, order="asc").data == []
    received = provider.received[-1]
    assert received.path == f"/{there[0]}/v1/responses/resp_items/input_items?limit=3&order=asc"
    assert place(received) == there


def test_a_key_in_the_address_stays_with_us(
    gateway: InProcess, payer: Payer, sdk: OpenAI, provider: FakeProvider
) -> None:
    made(sdk, provider, "resp_secret")
    path = f"/v1/responses/resp_secret?key={payer.key}&limit=1&odd=2"
    assert gateway.client().get(path).status == 200
    assert provider.received[-1].path.endswith("/responses/resp_secret?limit=1")
    assert payer.key not in str(provider.received[-1].headers)


def test_it_is_cancelled_and_deleted(
    gateway: InProcess, sdk: OpenAI, provider: FakeProvider
) -> None:
    there = place(made(sdk, provider, "resp_end"))
    answers(provider, response("resp_end", status="cancelled"))
    assert sdk.responses.cancel("resp_end").status == "cancelled"
    received = provider.received[-1]
    assert (received.method, received.path) == (
        "POST", f"/{there[0]}/v1/responses/resp_end/cancel",
    )  # fmt: skip
    answers(provider, {"error": {"message": "still busy at 10.0.0.1"}}, status=500)
    with pytest.raises(openai.InternalServerError) as failure:
        sdk.responses.delete("resp_end")
    assert "10.0.0.1" not in str(failure.value)
    assert len(rows(gateway, "resp_end")) == 1
    answers(provider, {"id": "resp_end", "object": "response", "deleted": True})
    sdk.responses.delete("resp_end")
    assert (provider.received[-1].method, place(provider.received[-1])) == ("DELETE", there)
    assert rows(gateway, "resp_end") == []
    with pytest.raises(openai.NotFoundError):
        sdk.responses.retrieve("resp_end")


def test_a_stream_of_it_passes(sdk: OpenAI, provider: FakeProvider) -> None:
    made(sdk, provider, "resp_again")
    last = {"type": "response.completed", "response": response("resp_again")}
    for prefix in ("ka", "kb"):
        provider.scripts[f"{prefix}/fine"] = events_of([{**last, "sequence_number": 7}])
    (event,) = sdk.responses.retrieve("resp_again", stream=True, starting_after=6)
    assert event.type == "response.completed"
    query = provider.received[-1].path.partition("?")[2]
    assert sorted(query.split("&")) == ["starting_after=6", "stream=true"]


def test_what_the_provider_has_forgotten_is_not_found(sdk: OpenAI, provider: FakeProvider) -> None:
    made(sdk, provider, "resp_old")
    answers(provider, {"error": {"message": "org-secret123 has no such thing"}}, status=404)
    with pytest.raises(openai.NotFoundError) as failure:
        sdk.responses.retrieve("resp_old")
    body: Any = failure.value.body
    assert body["message"] == "Response with id 'resp_old' not found."


# ---------------------------------------------------------------------- who may ask


def test_another_account_is_told_what_a_stranger_is_told(
    gateway: InProcess, sdk: OpenAI, provider: FakeProvider
) -> None:
    made(sdk, provider, "resp_mine")
    other = gateway.client(gateway.books.payer(5).key)
    sent = len(provider.received)
    for response_id in ("resp_mine", "resp_never"):
        for method, action in (
            ("GET", ""),
            ("GET", "/input_items"),
            ("POST", "/cancel"),
            ("DELETE", ""),
        ):
            answer = other.call(method, f"/v1/responses/{response_id}{action}")
            assert (answer.status, answer.code) == (404, "response_not_found")
            message = answer.json()["error"]["message"]
            assert message == f"Response with id '{response_id}' not found."
        asked = {"model": OWN, "input": "x", "previous_response_id": response_id}
        answer = other.call("POST", "/v1/responses", asked)
        assert (answer.status, answer.code) == (400, "previous_response_not_found")
        assert answer.json()["error"]["param"] == "previous_response_id"
    assert len(provider.received) == sent


def test_another_key_of_the_account_may_ask(
    gateway: InProcess, payer: Payer, sdk: OpenAI, provider: FakeProvider
) -> None:
    made(sdk, provider, "resp_shared")
    client = gateway.client(gateway.books.key(payer.account_id))
    assert client.get("/v1/responses/resp_shared").json()["id"] == "resp_shared"
    assert client.get("/v1beta/openai/responses/resp_shared").status == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/v1/responses/resp_1", 405),
        ("GET", "/v1/responses/resp_1/cancel", 405),
        ("GET", "/v1/responses/compact", 405),
        ("GET", "/v1/responses/resp_1/unheard", 404),
        ("GET", "/v1/responses/resp_1/", 404),
        ("GET", "/v1/responses/a%2eb", 404),
        ("GET", "/v1/responses/", 404),
        ("GET", "/v1/responses/resp_1", 401),
    ],
)
def test_other_addresses_are_refused(
    gateway: InProcess, method: str, path: str, status: int
) -> None:
    answer = Client(gateway.port).call(method, path)
    assert answer.status == status
    assert answer.code


def test_a_channel_that_is_gone_keeps_nothing(
    gateway: InProcess, sdk: OpenAI, provider: FakeProvider
) -> None:
    channel_id = gateway.books.channel(
        {GONE: "up"}, type_="openai_responses", base_url=provider.base_url("kd"), keys=["k"]
    )
    provider.scripts["kd/fine"] = whole(response("resp_gone"))
    sdk.responses.create(model=GONE, input="x")
    assert sdk.responses.retrieve("resp_gone").id == "resp_gone"
    gateway.books.remove_channel(channel_id)
    with pytest.raises(openai.NotFoundError):
        sdk.responses.retrieve("resp_gone")
    with pytest.raises(openai.BadRequestError) as refusal:
        sdk.responses.create(model=OWN, input="x", previous_response_id="resp_gone")
    assert refusal.value.code == "previous_response_unavailable"


# ---------------------------------------------------------------------- compaction


COMPACTED = {
    "id": "resp_compacted",
    "object": "response.compaction",
    "created_at": 1,
    "output": [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "x " * 90}]},
        {"type": "compaction", "id": "cmp_1", "encrypted_content": "c2VhbGVk"},
    ],
    "usage": USAGE,
}


def test_a_compaction_is_paid_for_and_made_where_the_conversation_is(
    gateway: InProcess, sdk: OpenAI, provider: FakeProvider
) -> None:
    there = place(made(sdk, provider, "resp_long"))
    answers(provider, COMPACTED)
    raw = sdk.responses.with_raw_response.compact(model=OWN, previous_response_id="resp_long")
    assert raw.parse().id == "resp_compacted"
    assert raw.content == json.dumps(COMPACTED).encode()
    received = provider.received[-1]
    assert received.path == f"/{there[0]}/v1/responses/compact"
    assert place(received) == there
    assert received.json() == {"model": "up", "previous_response_id": "resp_long"}
    story = gateway.books.story(raw.headers["x-request-id"])
    assert story.settled.usage == Usage(
        input=600, cache_read=100, output=100, reasoning=200, calls=1
    )
    assert story.opening.input_tokens_estimated >= CONTEXT_TOKENS
    assert rows(gateway, "resp_compacted") == []


def test_a_compaction_of_given_items_without_usage_counts_what_was_made(
    gateway: InProcess, sdk: OpenAI, provider: FakeProvider
) -> None:
    answers(provider, {**COMPACTED, "usage": None})
    raw = sdk.responses.with_raw_response.compact(model=OWN, input="hello brave new world")
    settled = gateway.books.story(raw.headers["x-request-id"]).settled
    assert settled.basis == "estimated"
    assert settled.usage.output == 0


def test_only_a_provider_of_responses_can_compact(
    gateway: InProcess, payer: Payer, sdk: OpenAI, provider: FakeProvider
) -> None:
    sent = len(provider.received)
    with pytest.raises(openai.BadRequestError) as refusal:
        sdk.responses.compact(model=CHAT, input="x")
    assert refusal.value.code == "not_expressible"
    client = gateway.client(payer.key)
    streamed = client.call(
        "POST", "/v1/responses/compact", {"model": OWN, "input": "x", "stream": True}
    )
    assert (streamed.status, streamed.json()["error"]["param"]) == (400, "stream")
    empty = client.call("POST", "/v1/responses/compact", {"model": OWN})
    assert (empty.status, empty.json()["error"]["param"]) == (400, "input")
    assert len(provider.received) == sent
