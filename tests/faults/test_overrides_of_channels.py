"""What a channel changes in requests and in what clients are told, through the whole program."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.calling import Answer
from tests.fake_provider import FakeProvider, Received, error, whole
from tests.running import Served, until

MODEL = "changed/model"


@pytest.fixture(autouse=True)
def _priced(program: Served) -> None:
    program.books.price(MODEL, input=1, output=2)


@contextmanager
def channel(program: Served, **given: object) -> Iterator[str]:
    """The path of one that is taken away again."""
    told = {"name": "Changed", "type": "openai", "keys": ["sk-changed"], "models": [MODEL], **given}
    added = program.desk.call("POST", "/channels", told)
    assert added.status == 201, added
    path = f"/channels/{added.json()['id']}"
    try:
        yield path
    finally:
        program.desk.call("DELETE", path)


def asked(
    program: Served,
    provider: FakeProvider,
    headers: dict[str, str] | None = None,
    **members: Any,  # noqa: ANN401 - JSON,
) -> tuple[Answer, Received]:
    answer = program.client(program.books.payer().key).chat(MODEL, headers=headers or {}, **members)
    return answer, provider.received[-1]


OPERATIONS = {
    "operations": [
        {"mode": "default", "path": "temperature", "value": 0.25},
        {"mode": "append", "path": "messages.-1.content", "value": " In one word."},
        {"mode": "set", "path": "max_tokens", "value": 100_000},
        {"mode": "delete", "path": "user"},
        {
            "mode": "set",
            "path": "metadata.group",
            "value": "ours",
            "conditions": [{"path": "using_group", "value": "default"}],
        },
        {"mode": "pass_headers", "value": ["X-Trace"]},
    ]
}


def test_requests_and_headers_are_changed_on_their_way(
    program: Served, provider: FakeProvider
) -> None:
    headers = {"X-Team": "a", "Authorization": "Key {api_key}", "x-of": "{client_header:X-Who}"}
    with channel(
        program,
        base_url=provider.base_url(),
        parameter_overrides=OPERATIONS,
        header_overrides=headers,
    ) as path:
        sent = {"x-trace": "t-1", "x-who": "{api_key}", "x-other": "o"}
        answer, received = asked(program, provider, sent, max_tokens=50, user="u-1", seed=7)
        assert answer.status == 200, answer
        document = received.json()
        assert document["temperature"] == 0.25
        assert document["messages"][-1]["content"].endswith(" In one word.")
        assert (document["max_tokens"], document["seed"]) == (50, 7)
        assert "user" not in document
        assert document["metadata"] == {"group": "ours"}
        told = received.headers
        assert told["authorization"] == "Key sk-changed"
        assert (told["x-team"], told["x-trace"], told["x-of"]) == ("a", "t-1", "{api_key}")
        assert "x-other" not in told

        shown = program.desk.call("GET", path).json()
        assert shown["parameter_overrides"] == OPERATIONS
        assert shown["header_override_names"] == ["X-Team", "Authorization", "x-of"]

        change = {"parameter_overrides": {"top_p": 0.5}, "header_overrides": {}}
        changed = program.desk.call("PATCH", path, change).json()
        assert changed["header_override_names"] == []
        assert len(changed["keys"]) == 1, "no override leads a key elsewhere"
        until(lambda: "top_p" in asked(program, provider)[1].json(), 5, "the change is seen")
        received = asked(program, provider)[1]
        assert received.headers["authorization"] == "Bearer sk-changed"
        assert "temperature" not in received.json()


def test_the_hold_covers_what_is_added(program: Served, provider: FakeProvider) -> None:
    def held(overrides: dict[str, Any]) -> int:
        with channel(program, base_url=provider.base_url(), parameter_overrides=overrides):
            answer, _ = asked(program, provider, max_tokens=10)
            return program.books.story(answer.request_id).opening.hold_nanos

    words = "word " * 1_000
    added = {"operations": [{"mode": "append", "path": "messages.0.content", "value": words}]}
    assert held(added) - held({}) >= 1_000 * 1_000


def test_a_request_is_changed_as_the_provider_reads_it(
    program: Served, provider: FakeProvider
) -> None:
    overrides = {"operations": [{"mode": "set", "path": "metadata.user_id", "value": "ours"}]}
    with channel(
        program,
        type="anthropic",
        base_url=provider.base_url(),
        parameter_overrides=overrides,
    ):
        _, received = asked(program, provider, max_tokens=10)
        assert received.path.endswith("/v1/messages")
        assert received.json()["metadata"] == {"user_id": "ours"}


def test_statuses_are_told_as_the_channel_says(program: Served, provider: FakeProvider) -> None:
    provider.scripts["gone"] = whole(error("no such thing"), status=404)
    provider.scripts["wrong"] = whole(error("no"), status=422)
    with channel(program, base_url=provider.base_url(), status_codes={"404": 503, "422": 400}):
        for script, status in (("gone", 503), ("wrong", 400)):
            answer, _ = asked(program, provider, metadata={"script": script})
            assert answer.status == status, answer


def test_a_channel_may_answer_by_itself_and_nothing_is_charged(
    program: Served, provider: FakeProvider
) -> None:
    value = {"message": "not on Sundays", "status_code": 451, "code": "closed"}
    overrides = {
        "operations": [
            {
                "mode": "return_error",
                "value": value,
                "conditions": [{"path": "user", "value": "u-1"}],
            }
        ]
    }
    with channel(program, base_url=provider.base_url(), parameter_overrides=overrides):
        before = len(provider.received)
        payer = program.books.payer()
        answer = program.client(payer.key).chat(MODEL, user="u-1")
        assert (answer.status, answer.code) == (451, "closed")
        assert answer.json()["error"]["message"] == "not on Sundays"
        assert len(provider.received) == before
        assert program.books.story(answer.request_id).names == ["QuotaReserved", "RefundIssued"]
        assert program.client(payer.key).chat(MODEL, user="u-2").status == 200


def test_what_a_channel_refuses_by_itself_another_may_answer_and_no_breaker_opens(
    program: Served, provider: FakeProvider
) -> None:
    value = {"message": "elsewhere", "status_code": 503, "skip_retry": False}
    overrides = {"operations": [{"mode": "return_error", "value": value}]}
    refusing = {"base_url": provider.base_url(), "parameter_overrides": overrides, "priority": 5}
    with (
        channel(program, **refusing) as path,
        channel(program, name="Other", base_url=provider.base_url()),
    ):
        client = program.client(program.books.payer().key)
        assert {client.chat(MODEL).status for _ in range(12)} == {200}
        assert program.desk.call("GET", f"{path}/health").json()["breakers"] == []


def test_chains_of_models_are_followed_to_their_end(program: Served) -> None:
    models = [
        {"client": "a", "upstream": "b"},
        {"client": "b", "upstream": "c"},
        {"client": "d", "upstream": "d"},
    ]
    with channel(program, models=models, follow_models=True) as path:
        shown = program.desk.call("GET", path).json()["models"]
        assert {one["client"]: one["upstream"] for one in shown} == {"a": "c", "b": "c", "d": "d"}
        models[1]["upstream"] = "a"
        refused = program.desk.call("PATCH", path, {"models": models, "follow_models": True})
        assert refused.status == 422
        assert "a -> b -> a" in refused.body.decode()
        assert program.desk.call("PATCH", path, {"models": models}).status == 200, "a swap"


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("parameter_overrides", {"model": "x"}, "what is sold"),
        ("parameter_overrides", {"operations": [{"mode": "explode"}]}, "operation 0"),
        ("header_overrides", {"Host": "canary"}, "belongs to the connection"),
        ("header_overrides", {"x": "canary\n"}, "a header can hold"),
        ("status_codes", {"200": 503}, "400 to 599"),
        ("status_codes", {"404": 200}, "400 to 599"),
    ],
)
def test_what_cannot_be_done_is_refused_at_the_desk(
    program: Served, field: str, value: object, told: str
) -> None:
    given = {"name": "Wrong", "type": "openai", "keys": ["sk"], "models": ["a"], field: value}
    refused = program.desk.call("POST", "/channels", given)
    assert refused.status == 422, refused
    assert told in refused.body.decode()
    assert field in refused.body.decode()
    assert "canary" not in refused.body.decode()
