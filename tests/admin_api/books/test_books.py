"""The books over the desk's API: balances then, statements, double entry, profit."""

from typing import Any
from uuid import uuid4

import pytest

from projections.registry import PROJECTIONS
from tests.admin_api.desks import OpenDesk, Servers, at_desk
from tests.projections.driving import running

FAR = "2100-01-01T00:00:00Z"
BAD_MOMENTS = (
    "yesterday",
    "2026-13-01T00:00:00Z",
    "2026-01-01T00:00:00",
    "1969-12-31T23:59:59Z",
    "-1",
    "1e3",
    "9" * 19,
    "9" * 64,
    "\u0661",
    "",
)
BAD_DAYS = ("2026-02-30", "1969-12-31", "9999-12-31", "20260101", "2026-01-01T00:00:00Z", "")


async def books_of(desk: OpenDesk) -> tuple[str, str]:
    """An account with 12.5 USD, one call of 0.0018 USD, and a key: their ids and secrets."""
    account_id = await desk.account()
    key_id, key = await desk.key(account_id)
    await desk.credit(account_id, "12.5")
    await desk.settled_call(account_id, key_id)
    return account_id, key


def test_a_balance_then_is_what_the_balance_was(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account_id, _ = await books_of(desk)
        path = f"/accounts/{account_id}/balance"
        before = (await desk.get(path)).json()
        head = (await desk.get("/ledger/trial-balance")).json()["as_of"]["head"]
        await desk.credit(account_id, "7")
        then = (await desk.get(f"{path}?as_of={head}")).json()
        as_of = then.pop("as_of")
        assert then == before == {**before, "posted": "12.4982", "held": "0"}
        assert (as_of["position"], as_of["head"], as_of["beyond_head"]) == (head, head + 1, False)
        by_time = await desk.get(path, params={"as_of": as_of["recorded_at"]})
        assert by_time.json() == {**before, "as_of": as_of}
        nothing = (await desk.get(f"{path}?as_of=1970-01-01T00:00:00Z")).json()
        assert nothing["posted"] == nothing["available"] == "0"
        assert nothing["as_of"]["position"] == nothing["position"] == 0
        assert nothing["as_of"]["recorded_at"] is None
        assert "as_of" not in (await desk.get(path)).json()

    at_desk(servers, check)


def test_beyond_the_head_is_said(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account_id, _ = await books_of(desk)
        for when in (FAR, "99999999"):
            for path in (f"/accounts/{account_id}/balance", "/ledger/trial-balance"):
                answer = (await desk.get(f"{path}?as_of={when}")).json()["as_of"]
                assert answer["beyond_head"] is True
                assert answer["position"] == answer["head"]

    at_desk(servers, check)


def test_d14_a_day_means_its_end_and_the_answer_says_so(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account_id, _ = await books_of(desk)
        changed = await desk.ask(
            "PUT", "/settings/book.time_zone", json={"value": "Asia/Kathmandu"}
        )
        assert changed.status_code == 200, changed.text
        for path in (
            f"/accounts/{account_id}/balance",
            f"/accounts/{account_id}/statement",
            "/ledger/trial-balance",
            "/ledger/as-of/settings",
        ):
            answer = (await desk.get(path, params={"as_of": "2098-11-30"})).json()["as_of"]
            assert answer["beyond_head"] is True
            assert answer["end_of_day"] == {
                "day": "2098-11-30",
                "time_zone": "Asia/Kathmandu",
                "moment": "2098-11-30T18:14:59.999999Z",
            }
            by_time = (await desk.get(path, params={"as_of": FAR})).json()["as_of"]
            assert by_time["end_of_day"] is None

    at_desk(servers, check)


def test_an_answer_given_stays_byte_for_byte(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account_id, _ = await books_of(desk)
        await desk.credit(account_id, "1")
        first = await desk.get("/ledger/trial-balance")
        position = first.json()["as_of"]["position"]
        paths = [
            f"/accounts/{account_id}/balance?as_of={position}",
            f"/accounts/{account_id}/statement?as_of={position}",
            f"/ledger/trial-balance?as_of={position}",
            f"/ledger/as-of/settings?as_of={position}",
        ]
        before = [(await desk.get(path)).json() for path in paths]
        await desk.credit(account_id, "1")
        await desk.ask("PUT", "/groups/vip", json={"multiplier": "2"})
        after = [(await desk.get(path)).json() for path in paths]
        for one in (*before, *after):
            one["as_of"].pop("head")  # where the log ended is what may change
        assert after == before

    at_desk(servers, check)


def test_a_statement_leads_from_its_opening_to_its_closing(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account_id, _ = await books_of(desk)
        await desk.credit(account_id, "0.5")
        path = f"/accounts/{account_id}/statement"
        whole = (await desk.get(path)).json()
        assert [(line["kind"], line["amount"], line["balance"]) for line in whole["lines"]] == [
            ("credit", "12.5", "12.5"),
            ("charge", "-0.0018", "12.4982"),
            ("credit", "0.5", "12.9982"),
        ]
        assert whole["totals"] == {
            "credited": "13",
            "charged": "0.0018",
            "adjusted": "0",
            "credits": 2,
            "charges": 1,
            "adjustments": 0,
        }
        assert (whole["opening"]["posted"], whole["closing"]["posted"]) == ("0", "12.9982")
        assert whole["next"] is whole["since"] is whole["until"] is None
        lines: list[dict[str, Any]] = []
        after: int | None = 0
        while after is not None:
            page = (await desk.get(f"{path}?limit=1&after={after}")).json()
            lines += page["lines"]
            after = page["next"]
        assert lines == whole["lines"]
        second = whole["lines"][1]["recorded_at"]
        later = (await desk.get(path, params={"from": second})).json()
        assert (later["opening"]["posted"], len(later["lines"])) == ("12.5", 2)
        assert later["since"] == second
        day = second[:10]
        today = (await desk.get(f"{path}?from={day}&to={day}")).json()
        assert today["lines"] == whole["lines"]
        assert today["until"] > whole["closing"]["recorded_at"]

    at_desk(servers, check)


def test_a_key_sees_its_own_account_and_no_other(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        own, key = await books_of(desk)
        other = await desk.account()
        for path in ("balance", "statement"):
            mine = await desk.get(f"/accounts/{own}/{path}", token=key)
            assert mine.status_code == 200
            assert mine.json() == (await desk.get(f"/accounts/{own}/{path}")).json()
            for account_id in (other, uuid4()):
                answer = await desk.get(f"/accounts/{account_id}/{path}", token=key)
                assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        for path in ("trial-balance", "journal", "profit", "as-of/settings"):
            assert (await desk.get(f"/ledger/{path}", token=key)).status_code == 401

    at_desk(servers, check)


def test_the_trial_balance_and_the_days_are_zero(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        await books_of(desk)
        trial = (await desk.get("/ledger/trial-balance")).json()
        expected = [
            ("clearing:manual", "12.5", "0", "-12.5", 1),
            ("customer:available", "0.005", "12.5032", "12.4982", 3),
            ("customer:held", "0.005", "0.005", "0", 2),
            ("revenue", "0", "0.0018", "0.0018", 1),
        ]
        assert [tuple(account.values()) for account in trial["accounts"]] == expected
        journal = (await desk.get("/ledger/journal")).json()
        assert len(journal["days"]) == 31
        today = journal["days"][-1]
        assert today["day"] == trial["as_of"]["recorded_at"][:10]
        assert [tuple(account.values()) for account in today["accounts"]] == expected
        assert (today["after"], today["until"]) == (0, journal["head"])
        one = await desk.get(f"/ledger/journal?from={today['day']}&to={today['day']}")
        assert one.json()["days"] == [today]

    at_desk(servers, check)


def test_profit_waits_for_what_was_just_stored(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account_id, _ = await books_of(desk)
        as_of = (await desk.get("/ledger/trial-balance")).json()["as_of"]
        head, today = as_of["head"], as_of["recorded_at"][:10]
        behind = await desk.get(f"/ledger/profit?at_least={head}")
        assert (behind.status_code, behind.json()["code"]) == (503, "not_caught_up")
        with running(servers.dsn, PROJECTIONS):
            for by, name in (("account", account_id), ("model", "m"), ("upstream_model", None)):
                answer = await until_caught_up(desk, f"/ledger/profit?by={by}&at_least={head}")
                (line,) = answer["lines"]
                assert line["name"] == (name or "upstream-m")
                assert line["day"] is None
                assert (line["calls"], line["costed_calls"]) == (1, 0)
                assert line["revenue"] == line["profit"] == line["charged"] == "0.0018"
                assert answer["position"] >= head
            daily = await until_caught_up(desk, f"/ledger/profit?daily=true&at_least={head}")
            assert daily["lines"][0]["day"] == today

    at_desk(servers, check)


async def until_caught_up(desk: OpenDesk, path: str) -> Any:  # noqa: ANN401 - JSON
    for _ in range(60):
        answer = await desk.get(path)
        if answer.status_code == 200:
            return answer.json()
        assert answer.status_code == 503
    raise AssertionError("it was never folded")


@pytest.mark.parametrize("bad", BAD_MOMENTS)
def test_a_moment_that_is_none_is_refused(servers: Servers, bad: str) -> None:
    async def check(desk: OpenDesk) -> None:
        account_id = await desk.account()
        for path in (
            f"/accounts/{account_id}/balance",
            f"/accounts/{account_id}/statement",
            "/ledger/trial-balance",
            "/ledger/as-of/settings",
            "/ledger/as-of/prices/m",
        ):
            answer = await desk.get(path, params={"as_of": bad})
            assert answer.status_code == 422, (path, answer.text)
            assert answer.json()["errors"][0]["field"] == "as_of"
        answer = await desk.get(f"/accounts/{account_id}/statement", params={"from": bad})
        assert answer.status_code == 422

    at_desk(servers, check)


def test_days_and_ranges_that_are_none_are_refused(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account_id = await desk.account()
        for path in ("/ledger/journal", "/ledger/profit"):
            for bad in BAD_DAYS:
                for field in ("from", "to"):
                    answer = await desk.get(path, params={field: bad})
                    assert answer.status_code == 422, (path, bad)
                    assert answer.json()["errors"][0]["field"] == field
            reversed_ = await desk.get(f"{path}?from=2026-01-02&to=2026-01-01")
            assert reversed_.json()["errors"][0]["field"] == "to"
        for path in ("/ledger/journal", "/ledger/profit?daily=true"):
            sign = "&" if "?" in path else "?"
            huge = await desk.get(f"{path}{sign}from=1970-01-01&to=9998-12-30")
            assert (huge.status_code, huge.json()["code"]) == (422, "invalid_input")
        everything = await desk.get("/ledger/profit?from=1970-01-01&to=9998-12-30")
        assert everything.status_code == 200
        statement = f"/accounts/{account_id}/statement"
        for query in (
            "from=2026-01-02&to=2026-01-01",
            "limit=0",
            "limit=1001",
            "after=-1",
            "form=2026-01-01",
        ):
            assert (await desk.get(f"{statement}?{query}")).status_code == 422, query
        assert (await desk.get("/ledger/profit?by=weather")).status_code == 422

    at_desk(servers, check)


def test_an_unknown_account_has_no_balance_and_no_statement(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        for path in ("balance", f"balance?as_of={FAR}", "balance?as_of=1", "statement"):
            answer = await desk.get(f"/accounts/{uuid4()}/{path}")
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found")

    at_desk(servers, check)
