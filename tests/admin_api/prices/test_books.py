"""Drafts: compared, previewed, and published all at once or not at all."""

import asyncio
from typing import Any

import psycopg

from admin_api.prices.operations.books import publish
from admin_api.prices.operations.decisions import Decider
from ledger.fsck import check_ledger
from ledger.store.reader import RECORDED_COLUMNS, recorded
from ledger.streams.price import PriceSet
from tests.admin_api.desks import OpenDesk, Servers, at_desk

PAST, FUTURE = "2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z"


async def set_up(desk: OpenDesk) -> None:
    """Three models on sale; a draft that changes one, adds one and leaves one as it is."""
    for model, usd in (("same", "1"), ("dearer", "1"), ("elsewhere", "1")):
        await desk.ask("PUT", f"/prices/{model}", json={"input": usd, "output": "4"})
    for model, body in (
        ("same", {"input": "1", "output": "4", "cache_read": "1"}),
        (
            "dearer",
            {"input": "1.5", "output": "4", "services": {"flex": {"input": "0.5", "output": "2"}}},
        ),
        ("vendor/new", {"input": "7"}),
    ):
        answer = await desk.ask("PUT", f"/price-books/spring/prices/{model}", json=body)
        assert answer.json() == {"version": 1}, answer.text


async def sale(desk: OpenDesk) -> dict[str, str]:
    prices = (await desk.get("/prices")).json()["prices"]
    return {each["model"]: each["input"] for each in prices}


async def price_events(servers: Servers) -> list[tuple[int, PriceSet]]:
    connection = await psycopg.AsyncConnection.connect(servers.dsn)
    async with connection:
        cursor = await connection.execute(
            f"select {RECORDED_COLUMNS} from ledger.event "
            "where topic = 'price.PriceSet.v1' order by position",
            binary=True,
        )
        events = [recorded(row) for row in await cursor.fetchall()]
    return [(one.position, one.event) for one in events if isinstance(one.event, PriceSet)]


def test_a_draft_charges_nobody(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        await set_up(desk)
        assert await sale(desk) == {"same": "1", "dearer": "1", "elsewhere": "1"}
        listed = (await desk.get("/price-books")).json()["books"]
        assert [(each["name"], each["kind"], each["models"]) for each in listed] == [
            ("sale", "sale", 3),
            ("spring", "draft", 3),
        ]
        told = (await desk.get("/price-books/spring/prices/vendor/new")).json()
        assert told["current"]["input"] == "7"
        assert len((await desk.get("/price-books/spring/prices")).json()["prices"]) == 3
        assert len((await desk.get("/price-books/sale/prices")).json()["prices"]) == 3

    at_desk(servers, check)


def test_the_diff_names_every_class_that_costs_something_else(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        await set_up(desk)
        told = (await desk.get("/price-books/spring/diff")).json()
        assert (told["added"], told["changed"], told["unchanged"]) == (1, 1, 1)
        by_model = {each["model"]: each for each in told["models"]}
        assert by_model["same"]["changes"] == []
        assert by_model["dearer"]["before"] == by_model["dearer"]["after"] == 1
        assert by_model["dearer"]["changes"] == [
            change("", "input", "1", "1.5", "50"),
            change("flex", "input", None, "0.5", None),
            change("flex", "output", None, "2", None),
        ]
        assert by_model["vendor/new"]["before"] is None
        assert by_model["vendor/new"]["changes"] == [change("", "input", None, "7", None)]

    at_desk(servers, check)


def change(service: str, kind: str, *amounts: str | None) -> dict[str, Any]:
    before, after, percent = amounts
    return {
        "service": service,
        "above_tokens": None,
        "kind": kind,
        "before": before,
        "after": after,
        "percent": percent,
    }


def test_percents_are_exact(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        await desk.ask("PUT", "/prices/m", json={"input": "3", "output": "0"})
        body = {"input": "4", "output": "1"}
        await desk.ask("PUT", "/price-books/d/prices/m", json=body)
        (model,) = (await desk.get("/price-books/d/diff")).json()["models"]
        assert [(each["kind"], each["percent"]) for each in model["changes"]] == [
            ("input", "100/3"),
            ("output", None),
        ]

    at_desk(servers, check)


def test_publishing_sets_everything_that_differs_in_one_group_once(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        await set_up(desk)
        body = {"reason": "spring prices"}
        headers = {"idempotency-key": "spring-1"}
        path = "/price-books/spring/publish"
        first = await desk.post(path, json=body, headers=headers)
        assert first.status_code == 201, first.text
        assert first.headers["idempotency-key"] == "spring-1"
        assert [(each["model"], each["version"]) for each in first.json()["prices"]] == [
            ("dearer", 2),
            ("vendor/new", 1),
        ]
        before = len(await price_events(servers))
        again = await desk.post(path, json=body, headers=headers)
        assert (again.status_code, again.json()) == (201, first.json())
        assert len(await price_events(servers)) == before
        assert await sale(desk) == {
            "same": "1", "dearer": "1.5", "elsewhere": "1", "vendor/new": "7",
        }  # fmt: skip
        (one, first_set), (two, second_set) = (await price_events(servers))[-2:]
        assert two == one + 1
        assert first_set.decision == second_set.decision
        assert first_set.decision is not None
        assert first_set.decision.published == "spring"
        assert first_set.effective_from_us == second_set.effective_from_us
        history = (await desk.get("/prices/dearer")).json()["history"]
        assert [past["reason"] for past in history] == [None, "spring prices"]
        assert all(
            each["outcome"] == "unchanged"
            for each in (await desk.get("/price-books/spring/diff")).json()["models"]
        )

    at_desk(servers, check)


def test_another_request_under_the_same_key_is_refused(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        await set_up(desk)
        headers = {"idempotency-key": "k"}
        path = "/price-books/spring/publish"
        assert (await desk.post(path, json={"reason": "r"}, headers=headers)).status_code == 201
        for body in ({"reason": "s"}, {"reason": "r", "effective_from": FUTURE}):
            answer = await desk.post(path, json=body, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_conflict")
        # Another operator's key is another key.
        token = await desk.operator("finance")
        answer = await desk.post(path, json={"reason": "r"}, headers=headers, token=token)
        assert (answer.status_code, answer.json()["code"]) == (409, "not_allowed_now")

    at_desk(servers, check)


def test_many_publications_at_once_under_one_key_are_one(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        await set_up(desk)
        before = len(await price_events(servers))
        publications = [
            desk.post(
                "/price-books/spring/publish",
                json={"reason": "r"},
                headers={"idempotency-key": "k"},
            )
            for _ in range(6)
        ]
        answers = await asyncio.gather(*publications)
        assert {answer.status_code for answer in answers} == {201}
        assert len({answer.text for answer in answers}) == 1
        assert len(await price_events(servers)) == before + 2

    at_desk(servers, check)


def test_a_publication_may_wait_for_its_moment_and_cannot_lie_in_the_past(
    servers: Servers,
) -> None:
    async def check(desk: OpenDesk) -> None:
        await set_up(desk)
        path = "/price-books/spring/publish"
        answer = await desk.post(path, json={"reason": "r", "effective_from": PAST})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")
        answer = await desk.post(path, json={"reason": "r", "effective_from": FUTURE})
        assert answer.status_code == 201
        assert (await sale(desk))["dearer"] == "1"
        assert (await desk.get("/prices/dearer")).json()["history"][1]["input"] == "1.5"

    at_desk(servers, check)


def test_what_a_draft_cannot_do_is_refused(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        await desk.ask("PUT", "/prices/m", json={"input": "1"})
        await desk.ask("PUT", "/price-books/same/prices/m", json={"input": "1"})
        for method, path, body, status in (
            ("GET", "/price-books/sale/diff", None, 422),
            ("GET", "/price-books/cost/diff", None, 422),
            ("GET", "/price-books/none/diff", None, 404),
            ("GET", "/price-books/none/prices/m", None, 404),
            ("GET", "/price-books/a%20b/diff", None, 422),
            ("POST", "/price-books/sale/publish", {"reason": "r"}, 422),
            ("POST", "/price-books/none/publish", {"reason": "r"}, 404),
            ("POST", "/price-books/same/publish", {"reason": "r"}, 409),
            ("POST", "/price-books/same/publish", {}, 422),
            ("POST", "/price-books/same/preview", {}, 409),
            ("PUT", "/price-books/same/prices/m", {"input": "1", "effective_from": FUTURE}, 422),
        ):
            answer = await desk.ask(method, path, json=body)
            assert answer.status_code == status, (method, path, answer.text)
        auditor = await desk.operator("auditor")
        for method, path, body in (
            ("POST", "/price-books/same/publish", {"reason": "r"}),
            ("PUT", "/price-books/same/prices/m", {"input": "1"}),
        ):
            assert (await desk.ask(method, path, json=body, token=auditor)).status_code == 403

    at_desk(servers, check)


def test_a_preview_is_a_what_if_over_what_the_draft_changes(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account_id = await desk.account()
        key_id, _ = await desk.key(account_id)
        await desk.credit(account_id, "1")
        await desk.settled_call(account_id, key_id)
        await desk.ask("PUT", "/prices/m", json={"input": "1", "output": "2"})
        await desk.ask("PUT", "/price-books/d/prices/m", json={"input": "2", "output": "4"})
        events = len(await price_events(servers))
        answer = await desk.post("/price-books/d/preview", json={"from": "2020-01-01"})
        assert answer.status_code == 202, answer.text
        job = (await desk.get(f"/jobs/{answer.json()['job']}")).json()
        assert (job["kind"], job["state"]) == ("reprice", "queued")
        assert len(await price_events(servers)) == events
        bad = await desk.post("/price-books/d/preview", json={"from": "yesterday"})
        assert bad.status_code == 422

    at_desk(servers, check)


def test_the_books_stay_clean(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        await set_up(desk)
        await publish(
            desk.desk,
            "spring",
            effective_from=None,
            decider=Decider("operator:x", "r", published="spring"),
        )

    at_desk(servers, check)
    assert list(check_ledger(servers.dsn)) == []
