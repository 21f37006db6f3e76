"""C7: channels that fail are asked last, by all processes, until they answer again."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from ledger.streams.routes import Way
from tests.fake_provider import HANG, Script, error, whole
from tests.faults.conftest import Stage
from tests.faults.keyed_provider import KeyedProvider, Keys
from tests.running import Served, until

FINE = whole()
BROKEN: dict[str, Script] = {
    "500": whole(error("oh"), status=500),
    "503": whole(error("maintenance"), status=503),
    "HTML under 200": whole(b"<html>", headers={"content-type": "text/html"}),
}


@pytest.mark.parametrize("name", BROKEN)
def test_c7_a_channel_that_fails_is_asked_a_few_times_and_then_last(
    stage: Stage, vendor: KeyedProvider, name: str
) -> None:
    keys = Keys(stage, vendor, [BROKEN[name], FINE], one_channel=False)
    answers = [keys.ask().status for _ in range(40)]
    assert answers == [200] * 40
    failing, fine = keys.asked()
    assert fine == 40
    assert 5 <= failing <= 8, "five, and one for each rest that was over since"
    assert keys.resting() == ["", ""], "no key is to blame"
    assert keys.events() == []

    vendor.of_key[keys.keys[0]] = FINE
    until(lambda: keys.ask().status == 200 and keys.asked()[0] > failing, 10, "it is tried again")
    again = keys.asked()[0]
    until(lambda: keys.ask().status == 200 and keys.asked()[0] > again + 3, 40, "and trusted")


def test_c7_what_says_something_of_a_key_or_of_the_request_opens_nothing(
    stage: Stage, vendor: KeyedProvider
) -> None:
    limited = whole(error("slow down"), status=429, headers={"retry-after": "1"})
    refused = whole(error("no such parameter"), status=400)
    for script in (limited, refused):
        keys = Keys(stage, vendor, [script, FINE], one_channel=False)
        for _ in range(20):
            keys.ask()
        shared = stage.gateway.front.keys.cooling
        assert all(shared.against(channel, keys.model) == [] for channel in keys.channels)


def test_c7_the_only_channel_is_asked_all_the_same(stage: Stage, vendor: KeyedProvider) -> None:
    keys = Keys(stage, vendor, [BROKEN["500"]])
    assert {keys.ask().status for _ in range(10)} == {502}
    assert keys.asked() == [10]
    vendor.of_key[keys.keys[0]] = FINE
    assert keys.ask().status == 200


def test_c7_what_one_process_finds_out_the_other_knows(program: Served) -> None:
    """Two workers, and a channel of which nobody takes the connection."""
    model = "broken/model"
    program.books.price(model, input=1, output=2)
    paths = []
    for name, base_url in (("Dead", "http://127.0.0.1:9"), ("Well", "")):
        told = {
            "name": name,
            "type": "openai" if base_url else "echo",
            "models": [model],
            "priority": len(base_url),
            **({"base_url": base_url, "keys": ["sk"]} if base_url else {}),
        }
        paths.append(f"/channels/{program.desk.call('POST', '/channels', told).json()['id']}")
    try:
        client = program.client(program.books.payer().key)
        until(lambda: client.chat(model).status == 200, 5, "it is served")
        assert {client.chat(model).status for _ in range(60)} == {200}
        (one,) = program.desk.call("GET", f"{paths[0]}/health").json()["breakers"]
        assert (one["model"], one["reason"]) == (model, "unreachable")
        assert one["state"] in ("open", "half_open")
        assert program.desk.call("GET", f"{paths[1]}/health").json()["breakers"] == []
        until(
            lambda: (
                program.desk.call("GET", f"{paths[0]}/health").json()["breakers"][0]["failures"] > 2
                or client.chat(model).status != 200
            ),
            20,
            "it is tried again, and fails again",
        )
        closed = program.desk.call("POST", f"{paths[0]}/health/close")
        assert closed.json()["breakers"] == []
    finally:
        for path in paths:
            program.desk.call("DELETE", path)


def test_c7_nobody_is_sent_after_many_who_wait_for_a_dead_vendor(
    stage: Stage, vendor: KeyedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It connects and never answers: a bounded number of calls waits for it, all others do not."""
    monkeypatch.setattr("gateway.channels.health.SILENT_S", 0.5)
    way = Way(first_byte_ms=4_000)
    keys = Keys(stage, vendor, [(HANG,), FINE], one_channel=False, way=way)
    with ThreadPoolExecutor(24) as pool:
        waiting = [pool.submit(keys.ask) for _ in range(20)]
        until(lambda: keys.asked()[0] == 20, 10, "they wait")
        time.sleep(0.6)
        begun_s = time.monotonic()
        assert {keys.ask().status for _ in range(10)} == {200}
        assert time.monotonic() - begun_s < 3
        assert keys.asked() == [20, 10]
        assert {one.result().status for one in waiting} == {200}
