"""Who may call, and what is refused before anything is held or sent."""

import contextlib
import http.client
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from types import ModuleType

import pytest

from gateway.call import relay
from gateway.call.charges import charge_book
from ledger import clock
from ledger.book_days import TIME_ZONE_SETTING
from ledger.streams import account, api_key, setting
from projections import configuration
from tests.bookkeeping import ACTOR, Payer
from tests.calling import Answer
from tests.faults.conftest import MODEL, Stage
from tests.running import until

HOLD_USD = 0.0087
"""A little more than one call holds: 4,096 x 2 USD per million and input."""


@pytest.fixture(autouse=True)
def _nothing_is_sent_for_a_refusal(stage: Stage) -> None:
    stage.provider.received.clear()


def call(stage: Stage, payer: Payer, **headers: str) -> Answer:
    return stage.gateway.client(payer.key).chat(MODEL, headers=headers, max_tokens=4_096)


def check_refused(stage: Stage, payer: Payer, answer: Answer, status: int, code: str) -> None:
    """Refused, with nothing in the ledger, nothing sent, and no invitation to try again."""
    assert (answer.status, answer.code) == (status, code), answer.body
    assert answer.headers["x-should-retry"] == "false"
    assert stage.books.stories(payer.account_id) == []
    assert stage.provider.received == []


def test_a_call_beyond_the_balance_names_scope_available_and_needed(stage: Stage) -> None:
    payer = stage.books.payer(0.001)
    answer = call(stage, payer)
    check_refused(stage, payer, answer, 429, "insufficient_quota")
    message = answer.json()["error"]["message"]
    assert f"the balance of account {payer.account_id}" in message
    assert "$0.001 available" in message


def test_an_account_that_never_had_money_is_refused(stage: Stage) -> None:
    payer = stage.books.payer(0)
    check_refused(stage, payer, call(stage, payer), 429, "insufficient_quota")


def test_a_keys_limit_counts_what_it_spent_and_holds(stage: Stage) -> None:
    payer = stage.books.payer(5, terms=api_key.KeyTerms(limit_nanos=8_400_000))
    assert call(stage, payer).status == 200
    refused = stage.gateway.client(payer.key).chat(MODEL, max_tokens=4_200)
    assert refused.code == "insufficient_quota"
    assert "the limit of API key" in refused.json()["error"]["message"]
    other_key = Payer(payer.account_id, stage.books.key(payer.account_id))
    assert call(stage, other_key).status == 200


@pytest.mark.parametrize("period", ["day", "week", "month"])
def test_a_spending_window_stops_new_holds(stage: Stage, period: str) -> None:
    limits = account.SpendingLimits(**{f"{period}_nanos": 8_230_000})
    payer = stage.books.payer(5, limits=limits)
    assert call(stage, payer).status == 200
    answer = call(stage, payer)
    assert (answer.status, answer.code) == (429, "insufficient_quota")
    assert len(stage.books.stories(payer.account_id)) == 1
    days = stage.gateway.core.configuration.held.days
    day = days.day_of(datetime.now(UTC))
    ends = {
        "day": day + timedelta(days=1),
        "week": day + timedelta(days=7 - day.weekday()),
        "month": (day.replace(day=1) + timedelta(days=31)).replace(day=1),
    }
    end = days.start(ends[period]).isoformat(timespec="minutes")
    message = answer.json()["error"]["message"]
    assert f"the limit of account {payer.account_id} for the {period} that ends at {end}" in message


def test_m5_a_change_of_the_books_zone_opens_no_window_anew(stage: Stage) -> None:
    payer = stage.books.payer(5, limits=account.SpendingLimits(day_nanos=8_230_000))
    assert call(stage, payer).status == 200
    zone_stream = setting.setting_stream_id(TIME_ZONE_SETTING)
    try:
        for zone in ("UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Asia/Tokyo"):
            change = setting.ChangeSetting(TIME_ZONE_SETTING, zone, ACTOR)
            stage.books.command(setting.STREAM, zone_stream, change, seen=True)
            assert call(stage, payer).code == "insufficient_quota"
    finally:
        change = setting.ChangeSetting(TIME_ZONE_SETTING, "UTC", ACTOR)
        stage.books.command(setting.STREAM, zone_stream, change, seen=True)
    assert len(stage.books.stories(payer.account_id)) == 1


def test_an_overdraft_may_be_used_to_its_end(stage: Stage) -> None:
    limits = account.SpendingLimits(overdraft_nanos=round(HOLD_USD * 10**9))
    payer = stage.books.payer(0, limits=limits)
    assert call(stage, payer).status == 200
    for _ in range(40):
        answer = call(stage, payer)
    assert answer.code == "insufficient_quota"
    balance = stage.books.balance(payer.account_id)
    assert -limits.overdraft_nanos <= balance.available_nanos < 0


def test_the_state_of_key_and_account_counts_within_a_second_of_its_change(stage: Stage) -> None:
    books = stage.books
    changes: list[tuple[Callable[[Payer], None], int, str]] = [
        (
            lambda payer: books.command(account.STREAM, payer.account_id, account.Suspend("test")),
            403,
            "account_suspended",
        ),
        (
            lambda payer: books.command(api_key.STREAM, payer.key_id, api_key.Revoke("test")),
            401,
            "invalid_api_key",
        ),
        (
            lambda payer: change_terms(stage, payer, api_key.KeyTerms(expires_at_us=1)),
            401,
            "invalid_api_key",
        ),
        (
            lambda payer: change_terms(stage, payer, api_key.KeyTerms(models=("other",))),
            403,
            "model_not_allowed",
        ),
        (
            lambda payer: change_terms(
                stage, payer, api_key.KeyTerms(allowed_ips=("192.0.2.1/32",))
            ),
            403,
            "ip_not_allowed",
        ),
    ]
    for change, status, code in changes:
        payer = books.payer(5)
        assert call(stage, payer).status == 200
        change(payer)
        changed_s = time.monotonic()
        answer = until(partial(refusal, stage, payer), 5, code)
        assert time.monotonic() - changed_s < 1.5
        assert (answer.status, answer.code) == (status, code)


def test_a_key_stops_at_the_moment_it_expires(stage: Stage) -> None:
    expires_at_us = clock.now_us() + 700_000
    payer = stage.books.payer(5, terms=api_key.KeyTerms(expires_at_us=expires_at_us))
    assert call(stage, payer).status == 200
    while clock.now_us() <= expires_at_us:
        time.sleep(0.05)
    assert call(stage, payer).code == "invalid_api_key"


def test_a_resumed_account_may_call_again(stage: Stage) -> None:
    payer = stage.books.payer(5)
    for command in (account.Suspend("test"), account.Resume("test")):
        stage.books.command(account.STREAM, payer.account_id, command, seen=True)
    assert call(stage, payer).status == 200


def test_what_a_suspended_account_owes_is_still_settled(stage: Stage) -> None:
    payer = stage.books.payer(5)
    with stage.gateway.client(payer.key).stream(MODEL, metadata={"script": "fine_stream"}) as live:
        live.read_until(b"fine")
        stage.books.command(account.STREAM, payer.account_id, account.Suspend("test"))
        live.read_all()
    assert stage.books.story(live.request_id).settled.charged_nanos > 0


def test_the_address_of_a_trusted_proxys_client_counts_and_nobody_elses_word(
    stage: Stage,
) -> None:
    terms = api_key.KeyTerms(allowed_ips=("198.51.100.0/24", "2001:db8::/32"))
    payer = stage.books.payer(5, terms=terms)
    rows = [
        ("198.51.100.7", 200),
        ("2001:db8::7", 200),
        ("203.0.113.9, 198.51.100.7", 200),
        ("198.51.100.7, 203.0.113.9", 403),
        ("::ffff:198.51.100.7", 200),
        ("198.51.100.7, garbage", 403),
        ("fe80::1%eth0", 403),
        (", ".join(["198.51.100.7"] * 500 + ["203.0.113.9"]), 403),
    ]
    for forwarded, status in rows:
        headers = {"x-forwarded-for": forwarded}
        answer = stage.gateway.client(payer.key).chat(MODEL, headers=headers)
        assert answer.status == status, forwarded
    assert call(stage, payer).code == "ip_not_allowed"


@pytest.mark.parametrize(
    ("module", "bound"),
    [(charge_book, "ADMITTED_WITHIN_S"), (configuration, "CONFIGURATION_STALE_AFTER_S")],
)
def test_t1_t2_no_call_is_taken_by_what_was_long_ago(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, module: ModuleType, bound: str
) -> None:
    """Nor by what the log said, nor by a moment of admission: `fsck` relies on it."""
    payer = stage.books.payer(5)
    with monkeypatch.context() as patch:
        patch.setattr(module, bound, 0.0)
        answer = call(stage, payer)
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        assert stage.books.stories(payer.account_id) == []
        assert stage.provider.received == []
    assert until(partial(accepted, stage, payer), 5, "it follows again")


def test_t1_who_calls_is_asked_again_when_the_call_took_long_to_come(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "CALLER_KNOWN_FOR_S", 0.1)
    payer = stage.books.payer(5)
    body = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": "hi"}]}).encode()
    port = stage.gateway.client(payer.key).port
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    with contextlib.closing(connection):
        connection.putrequest("POST", "/v1/chat/completions")
        connection.putheader("authorization", f"Bearer {payer.key}")
        connection.putheader("content-type", "application/json")
        connection.putheader("content-length", str(len(body)))
        connection.endheaders(body[:5])
        time.sleep(0.3)
        stage.books.command(account.STREAM, payer.account_id, account.Suspend("test"), seen=True)
        connection.send(body[5:])
        assert connection.getresponse().status == 403
    assert stage.books.stories(payer.account_id) == []


def accepted(stage: Stage, payer: Payer) -> bool:
    return call(stage, payer).status == 200


def refusal(stage: Stage, payer: Payer) -> Answer | None:
    answer = call(stage, payer)
    return None if answer.status == 200 else answer


def change_terms(stage: Stage, payer: Payer, terms: api_key.KeyTerms) -> None:
    stage.books.command(api_key.STREAM, payer.key_id, api_key.Change(terms, "test"))
