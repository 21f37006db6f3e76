"""Two workers, one balance, and a Redis that forgets: nothing is spent that is not there."""

import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from tests.bookkeeping import USD
from tests.fake_provider import fake_provider, whole
from tests.recomputed import lowest_available
from tests.running import Served

CALLS = 200
MONEY_FOR = 10


def test_200_at_once_with_money_for_10_while_redis_is_flushed(program: Served) -> None:
    books = program.books
    with fake_provider({"slow": (0.2, *whole())}) as provider:
        books.price("per-call", calls=0.5)
        books.channel(["per-call"], type_="openai", base_url=provider.base_url(), keys=["k"])
        payer = books.payer(0.5 * MONEY_FOR)

        def call(_: int) -> int:
            client = program.client(payer.key)
            return client.chat("per-call", metadata={"script": "slow"}).status

        with flushing(program), ThreadPoolExecutor(CALLS) as pool:
            statuses = list(pool.map(call, range(CALLS)))
        assert statuses.count(200) == MONEY_FOR
        assert statuses.count(429) == CALLS - MONEY_FOR
        assert len(provider.received) == MONEY_FOR
    stories = books.stories(payer.account_id)
    assert len(stories) == MONEY_FOR
    assert {story.settled.charged_nanos for story in stories} == {USD // 2}
    assert books.balance(payer.account_id).available_nanos == 0
    assert lowest_available(books.log())[payer.account_id] == 0


def test_200_in_a_row_with_money_for_a_little_more_than_one_hold(program: Served) -> None:
    books = program.books
    books.price("echo", input=1, output=1)
    books.channel(["echo"])
    payer = books.payer(0)
    hold = 100 + 16  # 6 words take no more than 100 tokens
    books.credit(payer.account_id, hold * 1_000 * 12 // 10 + CALLS * 12 * 1_000)
    client = program.client(payer.key)
    statuses = {client.chat("echo", max_tokens=16).status for _ in range(CALLS)}
    assert statuses == {200}
    assert lowest_available(books.log())[payer.account_id] >= 0


def test_50_identical_credits_at_once_are_one(program: Served) -> None:
    account = program.desk.call("POST", "/accounts", {"name": "Generous"}).json()["id"]

    def give(_: int) -> tuple[int, object]:
        answer = program.desk.call(
            "POST",
            f"/accounts/{account}/credits",
            {"amount": "2.50", "reason": "once"},
            {"idempotency-key": "the-one"},
        )
        return answer.status, answer.json().get("position")

    with ThreadPoolExecutor(50) as pool:
        answers = set(pool.map(give, range(50)))
    assert len(answers) == 1, answers
    assert program.desk.get(f"/accounts/{account}/balance").json()["posted"] == "2.5"


@contextlib.contextmanager
def flushing(program: Served) -> Iterator[None]:
    """FLUSHALL in a loop meanwhile."""
    done = threading.Event()

    def flush() -> None:
        with program.redis() as connection:
            while not done.wait(0.01):
                connection.flushall()

    thread = threading.Thread(target=flush)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
