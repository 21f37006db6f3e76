"""C5: what one worker finds out of a key, all know within a second; and so does the desk."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg

from tests.calling import Answer
from tests.fake_provider import error, serving, whole
from tests.faults.keyed_provider import KeyedProvider
from tests.running import Served, until

LIMITED, FINE = "key-limited", "key-fine"


def test_c5_a_limit_that_one_worker_meets_is_known_to_all(program: Served) -> None:
    with serving(KeyedProvider()) as vendor:
        vendor.of_key[LIMITED] = whole(error(), status=429, headers={"retry-after": "600"})
        vendor.of_key[FINE] = whole()
        channel = added(program, vendor.base_url())
        path = f"/channels/{channel['id']}/keys"
        key = program.books.payer(5).key

        def call(_: int = 0) -> Answer:
            return program.client(key).chat("of-workers")

        assert call().status == 200
        assert vendor.asked([LIMITED, FINE]) == [1, 1]
        time.sleep(1.0)
        with ThreadPoolExecutor(16) as callers:
            assert {answer.status for answer in callers.map(call, range(64))} == {200}
        assert vendor.asked([LIMITED, FINE]) == [1, 65]

        limited, fine = program.desk.call("GET", path).json()["keys"]
        assert (limited["state"], limited["reason"]) == ("cooling", "provider_status_429")
        assert limited["cooling_until"] > time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
        assert limited["answered_at"] is None
        assert fine["state"] == "usable"
        until(lambda: program.desk.call("GET", path).json()["keys"][1]["answered_at"], 10)

        vendor.of_key[LIMITED] = whole()
        resumed = program.desk.call("POST", f"{path}/{limited['id']}/resume", {}).json()
        assert (resumed["state"], resumed["cooling_until"]) == ("usable", None)
        time.sleep(1.0)
        assert call().status == 200
        assert vendor.asked([LIMITED]) == [2]
        program.desk.call("DELETE", f"/channels/{channel['id']}")


def test_c5_a_refused_key_is_found_to_work_again_without_anybody(program: Served) -> None:
    """By the background process, which alone asks; what it learns holds for all workers."""
    with serving(KeyedProvider()) as vendor:
        vendor.of_key[LIMITED] = whole(error("bad key"), status=401)
        vendor.of_key[FINE] = whole()
        channel = added(program, vendor.base_url())
        path = f"/channels/{channel['id']}/keys"
        client = program.client(program.books.payer(5).key)
        assert client.chat("of-workers").status == 200

        def state() -> str:
            told: str = program.desk.call("GET", path).json()["keys"][0]["state"]
            return told

        until(lambda: state() == "refused", 5)
        vendor.of_key[LIMITED] = whole()
        with psycopg.connect(program.owner_dsn, autocommit=True) as connection:
            hurried = "update operations.key_probe set due_at = due_at - interval '1 minute'"
            until(lambda: connection.execute(hurried).rowcount, 15, "it is to be probed")
        until(lambda: state() == "usable", 15, "it was probed")
        time.sleep(1.0)
        assert [client.chat("of-workers").status for _ in range(4)] == [200] * 4
        assert vendor.asked([LIMITED, FINE]) == [1 + 1 + 4, 1]
        program.desk.call("DELETE", f"/channels/{channel['id']}")


def added(program: Served, base_url: str) -> dict[str, Any]:
    program.books.price("of-workers", input=1, output=2)
    given = {
        "name": "of workers",
        "type": "openai",
        "base_url": base_url,
        "keys": [LIMITED, FINE],
        "key_choice": "in_order",
        "models": ["of-workers"],
    }
    answer = program.desk.call("POST", "/channels", given)
    assert answer.status == 201, answer
    time.sleep(1.0)
    told: dict[str, Any] = answer.json()
    return told
