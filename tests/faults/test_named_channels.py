"""A key with a channel's id behind it: that channel is asked, and no other."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from ledger.streams import api_key, channel
from tests.bookkeeping import ACTOR, Payer
from tests.calling import Answer
from tests.fake_provider import error, whole
from tests.faults.conftest import MODEL, PROVIDER_KEY, Stage

NAMES_CHANNELS = api_key.KeyTerms(names_channels=True)


@pytest.fixture
def payer(stage: Stage) -> Payer:
    stage.provider.received.clear()
    return stage.books.payer(5, terms=NAMES_CHANNELS)


def another(stage: Stage, prefix: str, **given: object) -> UUID:
    """A channel that nobody would be sent to: of another group, behind all others."""
    settings = {"models": {}, "groups": ("nobody",), "priority": -9, **given}
    return stage.books.channel(
        type_="openai",
        base_url=stage.provider.base_url(prefix),
        keys=[PROVIDER_KEY],
        **settings,  # type: ignore[arg-type]  # named as `channel` names them
    )


def call(stage: Stage, payer: Payer, named: object, **more: Any) -> Answer:  # noqa: ANN401 - JSON
    return stage.gateway.client(f"{payer.key}-{named}").chat(MODEL, **more)


def check_refused(stage: Stage, payer: Payer, answer: Answer, status: int, code: str) -> None:
    assert (answer.status, answer.code) == (status, code), answer.body
    assert answer.headers["x-should-retry"] == "false"
    assert stage.books.stories(payer.account_id) == []
    assert stage.provider.received == []


def test_the_named_channel_answers_whomever_it_serves(stage: Stage, payer: Payer) -> None:
    named = another(stage, "named")
    assert call(stage, payer, named).status == 200
    assert [one.path.split("/")[1] for one in stage.provider.received] == ["named"]
    (story,) = stage.books.stories(payer.account_id)
    assert story.settled.channel_id == named
    assert story.opening.key_id == payer.key_id
    assert story.settled.charged_nanos > 0


def test_its_own_name_for_the_model_is_used(stage: Stage, payer: Payer) -> None:
    named = another(stage, "named", models={MODEL: "vendor-model"})
    assert call(stage, payer, str(named).upper()).status == 200
    assert stage.provider.received[0].json()["model"] == "vendor-model"


def test_nobody_is_asked_in_its_place(stage: Stage, payer: Payer) -> None:
    named = another(stage, "broken")
    stage.provider.scripts["broken/fails"] = whole(error(), status=500)
    stage.provider.scripts["fails"] = stage.provider.scripts["fine"]
    answer = call(stage, payer, named, metadata={"script": "fails"})
    assert answer.status == 502
    assert [one.path.split("/")[1] for one in stage.provider.received] == ["broken"]
    (story,) = stage.books.stories(payer.account_id)
    assert [attempt.channel_id for attempt in story.refunded.attempts] == [named]


def test_d7_a_key_pasted_without_its_beginning_is_the_same_key(stage: Stage, payer: Payer) -> None:
    pasted = payer.key.removeprefix("sk-")
    assert len(pasted) == 48
    assert stage.gateway.client(pasted).chat(MODEL).status == 200
    named = another(stage, "named")
    assert stage.gateway.client(f"{pasted}-{named}").chat(MODEL).status == 200
    assert {story.opening.key_id for story in stage.books.stories(payer.account_id)} == {
        payer.key_id
    }
    for nobodys in (pasted[1:], "x" * 48, f"sk-sk-{pasted}"):
        assert stage.gateway.client(nobodys).chat(MODEL).status == 401


def test_a_key_that_may_not_name_channels_is_refused(stage: Stage) -> None:
    stage.provider.received.clear()
    payer = stage.books.payer(5)
    answer = call(stage, payer, another(stage, "named"))
    check_refused(stage, payer, answer, 403, "channel_choice_not_allowed")
    assert stage.gateway.client(payer.key).chat(MODEL).status == 200


def test_a_channel_that_cannot_be_asked_is_named(stage: Stage, payer: Payer) -> None:
    paused, removed = another(stage, "paused"), another(stage, "removed")
    stage.books.command(channel.STREAM, paused, channel.Pause(ACTOR, "holidays"), seen=True)
    stage.books.remove_channel(removed)
    for named in (paused, removed, uuid4()):
        answer = call(stage, payer, named)
        check_refused(stage, payer, answer, 400, "channel_unavailable")
        assert str(named) in answer.json()["error"]["message"]


@pytest.mark.parametrize("behind", ["7", "", "0199-x", "ffffffff-ffff-ffff-ffff"])
def test_what_is_no_channels_id_makes_another_key(stage: Stage, payer: Payer, behind: str) -> None:
    check_refused(stage, payer, call(stage, payer, behind), 401, "invalid_api_key")


def test_what_the_key_may_not_do_it_may_not_do_at_any_channel(stage: Stage) -> None:
    stage.provider.received.clear()
    terms = api_key.KeyTerms(names_channels=True, models=("another",))
    payer = stage.books.payer(5, terms=terms)
    answer = call(stage, payer, another(stage, "named"))
    check_refused(stage, payer, answer, 403, "model_not_allowed")


def test_a_model_without_a_price_is_sold_by_no_channel(stage: Stage, payer: Payer) -> None:
    named = another(stage, "named", models=["unpriced"])
    answer = stage.gateway.client(f"{payer.key}-{named}").chat("unpriced")
    check_refused(stage, payer, answer, 404, "model_not_found")
