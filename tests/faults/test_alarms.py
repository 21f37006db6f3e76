"""Alarms of real calls: a line in the log when the event is stored, and a row to read later."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
import structlog
from structlog.testing import capture_logs

from gateway.call import delivery
from gateway.call.charges.sweeper import Sweeper
from projections.views.alarms import AlarmFilter, AlarmRow, list_alarms
from tests.bookkeeping import Payer
from tests.fake_provider import USAGE, Script, completion, error, whole
from tests.faults.conftest import Stage
from tests.faults.test_paid_tries import SPENT, Pair
from tests.faults.test_refused_closings import refusing
from tests.projections.books.asking import ask
from tests.projections.conftest import Books as Folded
from tests.projections.driving import run_to_head
from tests.running import until

Lines = list[Any]
Cause = Callable[[Pair, Payer, pytest.MonkeyPatch], None]

BEYOND = USAGE | {"completion_tokens": 300_000, "total_tokens": 300_011}
NOTHING = dict.fromkeys(USAGE, 0)
UNEXPLAINED = USAGE | {"total_tokens": 40, "prompt_tokens_details": {"cached_tokens": 3}}


@pytest.fixture
def lines() -> Iterator[Lines]:
    """The lines of the log."""
    structlog.reset_defaults()
    with capture_logs() as captured:
        yield captured


def answers(*scripts: Script) -> Cause:
    def cause(pair: Pair, payer: Payer, _: pytest.MonkeyPatch) -> None:
        first, second = scripts if len(scripts) == 2 else (scripts[0], whole())
        pair.asked(first, second, is_stream=False, payer=payer, max_tokens=20)

    return cause


def refused(pair: Pair, payer: Payer, _: pytest.MonkeyPatch) -> None:
    with refusing(pair.stage, "22003"):
        pair.asked(whole(), whole(), is_stream=False, payer=payer, max_tokens=20)
        until(lambda: pair.books.balance(payer.account_id).held_nanos == 0, 10, "it is closed")


def stumbled(pair: Pair, payer: Payer, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(delivery, "_lost", lambda _: [(b"x-odd", b"a\nb")])
    pair.asked(whole(), whole(), is_stream=False, payer=payer, max_tokens=20)
    until(lambda: len(pair.books.stories(payer.account_id)[0].events) == 3, 10, "it is given back")


def swept(pair: Pair, payer: Payer, _: pytest.MonkeyPatch) -> None:
    """The node's lease lapses while its provider answers, with more than the account has left."""
    gateway = pair.stage.gateway
    slow = (0.5, *whole(completion(usage=BEYOND)))
    with ThreadPoolExecutor(1) as pool, psycopg.connect(pair.stage.owner_dsn) as owner:
        asking = pool.submit(pair.asked, slow, whole(), is_stream=False, payer=payer, max_tokens=20)
        pair.await_asked(0)
        alarm_rows(pair.stage)  # so that the sweeper sees the call
        owner.execute("update operations.node_lease set expires_at = now() - interval '1 s'")
        owner.commit()
        gateway.loop.run(Sweeper(gateway.core.pool, gateway.core.writer).sweep())
        gateway.loop.run(gateway.front.lease.acquire())
        asking.result(20)


CAUSES: dict[str, tuple[Cause, list[str]]] = {
    "A2: a try is paid": (answers(whole(SPENT, status=500), whole()), ["paid_without_charge"]),
    "A2: all tries are paid": (
        answers(whole(SPENT, status=500), whole(SPENT, status=500)),
        ["paid_without_charge"],
    ),
    "A2: we fail ourselves": (stumbled, ["charge_given_back"]),
    "A3: a total that nobody can explain": (
        answers(whole(completion(usage=UNEXPLAINED))),
        ["total_above_parts"],
    ),
    "A5: usage that is contradicted": (
        answers(whole(completion(usage=NOTHING))),
        ["usage_contradicted"],
    ),
    "A6: more than there is": (answers(whole(completion(usage=BEYOND))), ["cost_beyond_hold"]),
    "A21: a settlement is refused": (refused, ["closing_refused", "paid_without_charge"]),
    "A7: swept, and late usage is not covered": (swept, ["late_usage_uncovered", "node_lost"]),
    "nothing": (answers(whole(error(), status=500), whole()), []),
}


@pytest.mark.parametrize("name", CAUSES)
def test_every_alarm_is_a_line_and_a_row(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, lines: Lines, name: str
) -> None:
    cause, kinds = CAUSES[name]
    pair, payer = Pair(stage), stage.books.payer(0.0005)
    cause(pair, payer, monkeypatch)
    (story,) = stage.books.stories(payer.account_id)
    rows = [row for row in alarm_rows(stage) if row.charge_id == story.events[0].stream_id]
    assert sorted(row.kind for row in rows) == kinds
    told = [line for line in lines if line["event"] == "alarm"]
    assert {(line["kind"], line["id"], line["amount_nanos"], line["channel"]) for line in told} == {
        (row.kind, str(row.charge_id), row.amount_nanos, row.channel_id and str(row.channel_id))
        for row in rows
    }
    assert {line["log_level"] for line in told} <= {"error"}
    assert {row.model for row in rows} <= {pair.model}


def alarm_rows(stage: Stage) -> list[AlarmRow]:
    dsn = stage.gateway.app_dsn
    with psycopg.connect(dsn, autocommit=True) as connection:
        run_to_head(dsn, connection)
        folded = Folded(stage.owner_dsn, dsn, connection)
        return ask(folded, lambda one: list_alarms(one, AlarmFilter(), 1_000))
