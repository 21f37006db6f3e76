"""A2: names that clients make up stay out of headers; what we fail at is charged as delivered.

Nobody may spend the operator's money by a request that makes us stumble once the provider was
asked, and nobody pays for what did not reach them.
"""

import itertools
import threading
import time
from typing import Any, NoReturn

import pytest

from gateway.call import delivery, forwarding
from gateway.call.charges import open_charge
from gateway.http.exchange import header_list
from ledger.pricing import Price
from ledger.streams import price
from tests.bookkeeping import ACTOR, Books, Payer
from tests.calling import MESSAGES, Answer
from tests.fake_provider import completion, stream, whole
from tests.faults.conftest import IN_NANOS, MODEL, OUT_NANOS, Stage
from tests.faults.outages import Calling, ledger_held_up
from tests.running import until

MEASURED = 11 * IN_NANOS + 7 * OUT_NANOS
ODD = {
    "a line": "a\nb",
    "a header": "a\r\nset-cookie: x=1",
    "nul": "a\0b",
    "a list": "a, b",
    "not ascii": "ключ",
    "half a pair": "a\ud83d",
    "long": "n" * 3_000,
}
_numbers = itertools.count()


# ---------------------------------------------------------------------- names of clients


def test_names_in_a_header_are_words_and_as_many_as_have_room() -> None:
    assert header_list([], 100) == b""
    assert header_list(["tools.web_search", "top_k"], 100) == b"tools.web_search, top_k"
    assert header_list(["a\r\nb", "a, b", "100%"], 100) == b"a%0D%0Ab, a%2C%20b, 100%25"
    assert header_list(["a\ud83d", "é"], 100) == b"a?, %C3%A9"
    assert header_list(["a", "b" * 100, "c"], 100) == b"a"


@pytest.mark.parametrize("name", ODD.values(), ids=ODD)
@pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("client", ["messages", "responses", "gemini"])
@pytest.mark.parametrize("place", ["member", "tool"])
def test_a2_a_name_made_up_by_a_client_reaches_no_header(
    stage: Stage, client: str, is_stream: bool, place: str, name: str
) -> None:
    path, document = REQUESTS[client]
    odd = {name: 1} if place == "member" else {"tools": [{"type": name, "name": "t"}]}
    script = "fine_stream" if is_stream else "fine"
    steered = {**document, **odd, "metadata": {"script": script}}
    if client == "gemini":
        path = f"{path}:streamGenerateContent?alt=sse" if is_stream else f"{path}:generateContent"
    elif is_stream:
        steered["stream"] = True
    stage.provider.scripts["fine"] = whole() if not is_stream else stream()
    try:
        answer = stage.client.call("POST", path, steered)
    finally:
        stage.provider.scripts["fine"] = whole()
    if answer.status == 400:  # it is refused before anything is held
        assert stage.books.story(answer.request_id).events == ()
        return
    assert answer.status == 200, answer.body
    assert "set-cookie" not in answer.headers
    assert "\n" not in answer.headers.get("x-tollgate-lost", "")
    story = stage.books.story(answer.request_id)
    assert (story.settled.ending, story.settled.charged_nanos) == ("complete", MEASURED)


REQUESTS: dict[str, tuple[str, dict[str, Any]]] = {
    "messages": ("/v1/messages", {"model": MODEL, "max_tokens": 9, "messages": MESSAGES}),
    "responses": ("/v1/responses", {"model": MODEL, "input": "one two three", "store": False}),
    "gemini": (
        f"/v1beta/models/{MODEL}",
        {"contents": [{"role": "user", "parts": [{"text": "one two three"}]}]},
    ),
}


# ---------------------------------------------------------------------- failures of ours


@pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "stream"])
def test_a2_where_nothing_was_delivered_the_customer_pays_nothing_and_we_the_provider(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, is_stream: bool
) -> None:
    model, payer = a_model_of_its_own(stage)
    monkeypatch.setattr(delivery, "_lost", lambda _: [(b"x-odd", b"a\nb")])
    answer = asked(stage, model, payer, is_stream)
    assert (answer.status, answer.code) == (500, "internal_error")
    story = until(lambda: closed(stage.books, answer, 3), what="the charge is given back")
    assert story.names == ["QuotaReserved", "UsageSettled", "ChargeAdjusted"]
    assert story.events[-1].event.delta_nanos == -story.settled.charged_nanos
    assert story.settled.cost is not None
    assert story.settled.cost.amount_nanos > 0
    assert stage.books.balance(payer.account_id).used_nanos == -(10**9)


@pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "stream"])
def test_a2_what_is_given_back_waits_for_its_settlement_however_late(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, is_stream: bool
) -> None:
    """Beside a settlement under way, a refund would leave it to charge as late usage."""
    payer = stage.books.payer(1)
    monkeypatch.setattr(open_charge, "CLOSE_WITHIN_S", 0.3)

    def stumbling(*_: object) -> NoReturn:
        raise RuntimeError("a bug")

    # A stream fails as it begins, a whole answer once it is metered: both are unsettled by then.
    failing = "_lost" if is_stream else "_outcome"
    calls = iter([True])

    def once(*given: object) -> Any:  # noqa: ANN401
        return stumbling() if next(calls, False) else outcome(*given)

    outcome = getattr(delivery, failing)
    monkeypatch.setattr(delivery, failing, once)
    usage = {"prompt_tokens": 100, "completion_tokens": 5_000, "total_tokens": 5_100}
    script = stream(("one",), usage=usage) if is_stream else whole(completion(usage=usage))
    calling = Calling(stage, payer.key, (0.5, *script), is_stream=is_stream, max_tokens=1)
    with ledger_held_up(stage):
        # Something else is under way, so that what is above the hold waits here, behind refunds.
        other = threading.Thread(target=stage.books.credit, args=(stage.payer.account_id, 1))
        other.start()
        answer = calling.answer()
        time.sleep(0.2)
    other.join()
    assert (answer.status, answer.code) == (500, "internal_error")
    until(lambda: len(stage.books.stories(payer.account_id)[0].events) >= 3, 20, "given back")
    time.sleep(0.3)
    assert stage.books.balance(payer.account_id).used_nanos == -(10**9)
    (story,) = stage.books.stories(payer.account_id)
    assert "RefundIssued" not in story.names


@pytest.mark.parametrize("last", [b"one", b"three"], ids=["at once", "at the end"])
def test_a2_what_a_stream_had_delivered_is_charged_and_its_end_is_an_error(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, last: bytes
) -> None:
    model, payer = a_model_of_its_own(stage)
    forward = forwarding._forward

    async def stumbling(one: forwarding.Delivering, pieces: Any) -> Any:  # noqa: ANN401
        broken = await forward(one, pieces)
        if any(last in piece.raw for piece in pieces):
            raise RuntimeError("a bug")
        return broken

    monkeypatch.setattr(forwarding, "_forward", stumbling)
    answer = asked(stage, model, payer, True, usage=False)
    assert answer.status == 200
    assert b"internal_error" in answer.frames[-1]
    story = until(lambda: closed(stage.books, answer, 2), what="the charge is closed")
    assert story.names == ["QuotaReserved", "UsageSettled"]
    assert (story.settled.ending, story.settled.basis) == ("internal_error", "estimated")
    assert 0 < story.settled.usage.output <= 3
    assert story.settled.charged_nanos > 0


def test_a2_a_bug_behind_the_settlement_of_a_stream_ends_it_with_an_error_frame(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, payer = a_model_of_its_own(stage)

    async def stumbling(*_: object) -> NoReturn:
        raise RuntimeError("a bug")

    monkeypatch.setattr(delivery.Delivery, "_last_of", stumbling)
    answer = asked(stage, model, payer, True)
    assert b"internal_error" in answer.frames[-1]
    story = until(lambda: closed(stage.books, answer, 2), what="the charge is closed")
    assert (story.settled.ending, story.settled.charged_nanos) == ("complete", MEASURED)


def a_model_of_its_own(stage: Stage) -> tuple[str, Payer]:
    """With a price and what it costs us, and somebody with 1 USD who asks for it."""
    model, books = f"failing-{next(_numbers)}", stage.books
    books.channel([model], type_="openai", base_url=stage.provider.base_url(), keys=["sk-p"])
    books.price(model, input=1, output=2)
    cost = price.SetPrice(
        model, Price(rates={"input": 10**9, "output": 10**9}), 0, ACTOR, book=price.COST
    )
    books.command(price.STREAM, price.price_stream_id(model, price.COST), cost, seen=True)
    return model, books.payer(1)


def asked(stage: Stage, model: str, payer: Payer, is_stream: bool, *, usage: bool = True) -> Answer:
    words = ("one", " two", " three")
    stage.provider.scripts["ours"] = (
        (stream(words, pause_s=0.05) if usage else stream(words, usage=None, pause_s=0.05))
        if is_stream
        else whole()
    )
    client = stage.gateway.client(payer.key)
    return client.chat(model, stream=is_stream, metadata={"script": "ours"})


def closed(books: Books, answer: Answer, events: int) -> Any:  # noqa: ANN401
    story = books.story(answer.request_id)
    return story if len(story.events) >= events else None
