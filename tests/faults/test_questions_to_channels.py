"""A channel asked by hand, and its vendor's list of models, through the whole program."""

from collections.abc import Iterator
from typing import Any

import pytest

from gateway.call.channel_questions import ASKED_IN, listed_models
from gateway.call.charges.own_charges import OWN_ACCOUNT
from gateway.errors import UpstreamFailed
from tests.calling import Answer
from tests.fake_provider import FakeProvider, error, stream, whole
from tests.running import Served

MODEL = "asked/model"
SECRET = "sk-canary-of-questions"
HEADER = "canary-in-a-header"


@pytest.fixture
def channel(program: Served, provider: FakeProvider) -> Iterator[str]:
    program.books.price(MODEL, input=1, output=2)
    told = {
        "name": "Asked",
        "type": "openai",
        "base_url": provider.base_url(),
        "keys": [SECRET],
        "models": [{"client": MODEL, "upstream": "theirs"}, "unpriced"],
        "header_overrides": {"X-Own": HEADER},
    }
    added = program.desk.call("POST", "/channels", told)
    assert added.status == 201, added
    path = f"/channels/{added.json()['id']}"
    yield path
    provider.scripts["fine"] = whole()
    program.desk.call("DELETE", path)


def asked(program: Served, channel: str, **given: object) -> tuple[Answer, dict[str, Any]]:
    answer = program.desk.call("POST", f"{channel}/test", {"model": MODEL, **given})
    assert answer.status == 200, answer
    assert SECRET.encode() not in answer.body
    assert HEADER.encode() not in answer.body
    return answer, answer.json()


def test_all_that_went_over_the_wire_is_shown_but_what_is_secret(
    program: Served, provider: FakeProvider, channel: str
) -> None:
    provider.scripts["fine"] = whole(headers={"x-your-key": SECRET})
    _, told = asked(program, channel)
    assert (told["error"], told["finding"]) == ("", "")
    assert told["usage"]["output"] == 7
    exchange = told["exchange"]
    assert (exchange["method"], exchange["status"]) == ("POST", 200)
    assert exchange["url"].endswith("/chat/completions")
    assert '"theirs"' in exchange["request_body"]
    assert exchange["request_headers"]["authorization"] == "***"
    assert exchange["request_headers"]["x-own"] == "***"
    assert exchange["answer_headers"]["x-your-key"] == "***"
    assert "a fine answer" in exchange["answer_body"]
    story = program.books.stories(OWN_ACCOUNT)[-1]
    (attempt,) = story.refunded.attempts
    assert attempt.usage is not None
    assert attempt.usage.output == 7, "what it cost is in the books"


def test_a_failure_is_told_as_a_client_would_be_and_changes_no_state(
    program: Served, provider: FakeProvider, channel: str
) -> None:
    provider.scripts["fine"] = whole(error(f"bad key {SECRET}"), status=401)
    _, told = asked(program, channel)
    assert told["error"]
    assert told["finding"] == "provider_status_401"
    assert told["exchange"]["status"] == 401
    keys = program.desk.call("GET", f"{channel}/keys").json()["keys"]
    assert [one["state"] for one in keys] == ["usable"]


def test_a_stream_is_asked_for_and_read_to_its_end(
    program: Served, provider: FakeProvider, channel: str
) -> None:
    provider.scripts["fine"] = stream()
    _, told = asked(program, channel, stream=True)
    assert told["error"] == ""
    assert "[DONE]" in told["exchange"]["answer_body"]
    assert told["usage"]["output"] > 0


@pytest.mark.parametrize("client_format", sorted({*ASKED_IN} - {"openai_completions"}))
# The tests' provider answers in another form than that of completions.
def test_it_may_be_asked_in_every_format(
    program: Served,
    provider: FakeProvider,  # noqa: ARG001 - it answers
    channel: str,
    client_format: str,
) -> None:
    _, told = asked(program, channel, format=client_format)
    assert told["error"] == "", told


def test_what_cannot_be_asked_is_refused(program: Served, channel: str) -> None:
    for body, status in (
        ({"model": "none"}, 422),
        ({"model": "unpriced"}, 409),
        ({"model": MODEL, "key": "00000000-0000-0000-0000-000000000001"}, 422),
        ({"model": MODEL, "format": "latin"}, 422),
    ):
        assert program.desk.call("POST", f"{channel}/test", body).status == status, body


def test_the_vendors_list_is_compared_and_taken_over(
    program: Served, provider: FakeProvider, channel: str
) -> None:
    names = ["theirs", "newer", "newest"]
    listed = whole({"object": "list", "data": [{"id": name} for name in names]})
    provider.scripts["fine"] = listed
    told = program.desk.call("GET", f"{channel}/offered-models").json()
    assert told == {
        "offered": ["newer", "newest", "theirs"],
        "gone": ["unpriced"],
        "new": ["newer", "newest"],
        "unpriced": ["unpriced"],
    }
    change = {"add": ["newer"], "drop": ["unpriced"]}
    changed = program.desk.call("POST", f"{channel}/offered-models", change).json()
    assert {one["client"]: one["upstream"] for one in changed["models"]} == {
        MODEL: "theirs",
        "newer": "newer",
    }
    for wrong in ({"add": [MODEL]}, {"drop": ["never"]}, {"drop": ["theirs", "newer"]}):
        refused = program.desk.call("POST", f"{channel}/offered-models", wrong)
        assert refused.status == 422, wrong
    provider.scripts["fine"] = whole(error(SECRET), status=500)
    refused = program.desk.call("GET", f"{channel}/offered-models")
    assert (refused.status, refused.json()["code"]) == (502, "not_answered")
    assert SECRET.encode() not in refused.body


def test_lists_of_models_are_read_in_each_vendors_form() -> None:
    assert listed_models(b'{"data":[{"id":"b","type":"model"},{"id":"a"}],"has_more":false}') == [
        "a",
        "b",
    ]
    assert listed_models(b'{"models":[{"name":"models/gemini-x"}]}') == ["gemini-x"]
    for wrong in (b"", b"[]", b'{"data":1}', b'{"data":[1]}', b"{}"):
        with pytest.raises(UpstreamFailed):
            listed_models(wrong)


def test_a_key_at_the_end_of_what_is_shown_is_not_shown_in_part(
    program: Served, provider: FakeProvider, channel: str
) -> None:
    cut = len(SECRET) // 2
    provider.scripts["fine"] = whole(b"x" * (64 * 1024 - cut) + SECRET.encode() * 9)
    _, told = asked(program, channel)
    assert len(told["exchange"]["answer_body"]) == 64 * 1024
    assert SECRET[:cut] not in told["exchange"]["answer_body"]
