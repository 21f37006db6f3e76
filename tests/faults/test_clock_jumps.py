"""A18: while the clock is not believed, no call is taken, and calls under way end well."""

import contextlib
from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest

from tests.fake_provider import whole
from tests.faults.conftest import IN_NANOS, MODEL, OUT_NANOS, Stage
from tests.faults.outages import Calling

MEASURED = 11 * IN_NANOS + 7 * OUT_NANOS


@contextlib.contextmanager
def jumped(stage: Stage, by: timedelta) -> Iterator[None]:
    """The clock is so far ahead of (negative: behind) what was believed last."""
    with psycopg.connect(stage.owner_dsn, autocommit=True) as owner:
        owner.execute("update ledger.head set believed_at = clock_timestamp() - %s", (by,))
        try:
            yield
        finally:
            owner.execute("select ledger.believe_clock()")


@pytest.mark.parametrize("hours", [24 * 400, 2, -2])
def test_a18_no_call_is_taken_while_the_clock_is_wrong_and_those_under_way_are_charged(
    stage: Stage, hours: int
) -> None:
    payer = stage.books.payer(1)
    client = stage.gateway.client(payer.key)
    calling = Calling(stage, payer.key, (0.4, *whole()))
    with jumped(stage, timedelta(hours=hours)):
        refused = client.chat(MODEL)
        assert (refused.status, refused.code) == (503, "overloaded")
        assert "clock" in refused.json()["error"]["message"]
        assert refused.headers["retry-after"] == "60"
        assert calling.answer().status == 200
    (story,) = stage.books.stories(payer.account_id)
    assert story.settled.charged_nanos == MEASURED
    assert stage.books.balance(payer.account_id).held_nanos == 0
    assert client.chat(MODEL).status == 200
