"""The catalogue and ratios into books, over the desk's API: planned, done, never done twice."""

import json
from typing import Any

import psycopg

from ledger.fsck import check_ledger
from ledger.pricing import Multiplier
from tests.admin_api.desks import OpenDesk, Servers, at_desk

SONNET = "anthropic:claude-sonnet-4-5"
RATIOS = {
    "ModelRatio": '{"gpt-4o": 1.25, "thirds": 0.3333333333333333333, "gpt-4-gizmo-*": 15}',
    "CompletionRatio": '{"gpt-4o": 4}',
    "CacheRatio": '{"gpt-4o": 0.5}',
    "ModelPrice": '{"mj_imagine": 0.1}',
    "GroupRatio": '{"default": 1, "vip": 0.85, "\u8d35\u5bbe": 2, "a//b": 3}',
    "GroupGroupRatio": '{"vip": {"default": 0.9}}',
    "SystemName": "Ada's",
}


async def events(servers: Servers) -> int:
    async with await psycopg.AsyncConnection.connect(servers.dsn) as connection:
        row = await (await connection.execute("select count(*) from ledger.event")).fetchone()
    assert row is not None
    return int(row[0])


async def imported(desk: OpenDesk, kind: str, book: str = "sale", **body: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    answer = await desk.post(f"/price-books/{book}/import-{kind}", json=body)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


# ---------------------------------------------------------------------- the catalogue


def test_the_catalogue_is_searched_by_provider_and_words(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        told = (await desk.get("/catalogue/models?provider=anthropic&search=SONNET 4-5")).json()
        assert told["source"].startswith("genai-prices 0.")
        assert told["found"] == len(told["models"]) >= 1
        assert told["next"] is None
        (model,) = [each for each in told["models"] if each["model"] == "claude-sonnet-4-5"]
        assert (model["price"]["input"], model["price"]["cache_write_1h"]) == ("3", "6")
        assert model["price"]["long_context"][0]["above_tokens"] == 200_000
        assert model["price"]["services"]["batch"]["output"] == "7.5"
        assert (model["not_expressed"], model["price"]["web_search"]) == ([], "10")
        assert "anthropic" in told["providers"]
        assert model["provenance"].startswith(told["source"] + " anthropic/claude-sonnet-4-5 http")

    at_desk(servers, check)


def test_the_catalogue_comes_in_pages(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        seen: list[tuple[str, str]] = []
        after: int | None = 0
        while after is not None and len(seen) < 600:
            page = (await desk.get(f"/catalogue/models?after={after}&limit=200")).json()
            seen += [(each["provider"], each["model"]) for each in page["models"]]
            after = page["next"]
        assert len(set(seen)) == len(seen) == 600
        for query in ("limit=0", "limit=201", "after=-1", "provider=a&provider=b", "x=1"):
            assert (await desk.get(f"/catalogue/models?{query}")).status_code == 422
        assert (await desk.get("/catalogue/models?search=no+such+thing")).json()["models"] == []

    at_desk(servers, check)


def test_a_dry_run_shows_what_an_import_would_set_and_sets_nothing(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        before = await events(servers)
        body: dict[str, Any] = {
            "models": [SONNET, "deepseek:deepseek-reasoner"],
            "dry_run": True,
        }
        told = await imported(desk, "catalogue", **body)
        assert await events(servers) == before
        outcomes = {each["model"]: (each["outcome"], each["version"]) for each in told["models"]}
        assert outcomes == {
            "claude-sonnet-4-5": ("added", None),
            "deepseek-reasoner": ("refused", None),
        }
        assert told["is_done"] is False
        assert told["models"][1]["message"] == "the price depends on the time of day"

    at_desk(servers, check)


def test_an_import_says_where_the_figures_come_from_and_is_not_done_twice(
    servers: Servers,
) -> None:
    async def check(desk: OpenDesk) -> None:
        told = await imported(desk, "catalogue", models=[SONNET], reason="our first book")
        assert (told["is_done"], told["models"][0]["version"]) == (True, 1)
        price = (await desk.get("/prices/claude-sonnet-4-5")).json()
        provenance = price["current"]["provenance"]
        assert provenance.startswith("genai-prices 0.")
        assert " without " not in provenance
        assert price["current"]["web_search"] == "10"
        assert price["history"][0]["reason"] == "our first book"
        before = await events(servers)
        again = await imported(desk, "catalogue", models=[SONNET])
        assert [each["outcome"] for each in again["models"]] == ["unchanged"]
        assert await events(servers) == before
        await desk.ask("PUT", "/prices/claude-sonnet-4-5", json={"input": "4"})
        changed = await imported(desk, "catalogue", models=[SONNET])
        assert (changed["models"][0]["outcome"], changed["models"][0]["version"]) == ("changed", 3)
        first = changed["models"][0]["changes"][0]
        assert (first["kind"], first["before"], first["after"]) == ("input", "4", "3")

    at_desk(servers, check)


def test_a_whole_provider_goes_into_a_draft_at_once_and_can_be_published(
    servers: Servers,
) -> None:
    async def check(desk: OpenDesk) -> None:
        told = await imported(desk, "catalogue", book="all-openai", provider="openai")
        added = [each["model"] for each in told["models"] if each["outcome"] == "added"]
        assert len(added) > 60
        assert (await desk.get("/prices")).json() == {"prices": []}
        listed = (await desk.get("/price-books/all-openai/prices")).json()["prices"]
        assert sorted(added) == [each["model"] for each in listed]
        answer = await desk.post("/price-books/all-openai/publish", json={"reason": "r"})
        assert len(answer.json()["prices"]) == len(added)
        assert len((await desk.get("/prices")).json()["prices"]) == len(added)

    at_desk(servers, check)
    assert list(check_ledger(servers.dsn)) == []


def test_an_idempotency_key_gives_the_first_import_again(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        path, headers = "/price-books/sale/import-catalogue", {"idempotency-key": "k"}
        body = {"models": [SONNET]}
        first = await desk.post(path, json=body, headers=headers)
        assert first.headers["idempotency-key"] == "k"
        before = await events(servers)
        assert (await desk.post(path, json=body, headers=headers)).status_code == 200
        assert await events(servers) == before
        other = await desk.post(path, json={"models": ["openai:gpt-4o"]}, headers=headers)
        assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")

    at_desk(servers, check)


def test_what_the_catalogue_does_not_have_is_refused(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        for body, status, code in (
            ({}, 422, "invalid_input"),
            ({"models": []}, 422, "invalid_input"),
            ({"models": ["gpt-4o"]}, 422, "invalid_input"),  # several providers sell it
            ({"models": ["openai:none"]}, 404, "not_found"),
            ({"models": ["none"]}, 404, "not_found"),
            ({"provider": "none"}, 404, "not_found"),
            ({"provider": "openai", "models": ["claude-sonnet-4-5"]}, 404, "not_found"),
            ({"models": ["openai:gpt-4o", "github-copilot:gpt-4o"]}, 422, "invalid_input"),
            ({"models": ["openai:gpt-4o"], "book": "x"}, 422, "unknown_field"),
        ):
            answer = await desk.post("/price-books/d/import-catalogue", json=body)
            assert (answer.status_code, answer.json()["code"]) == (status, code), body
        assert (await desk.get("/price-books")).json() == {"books": []}

    at_desk(servers, check)


# ---------------------------------------------------------------------- ratios


def test_ratios_become_prices_and_what_does_not_come_out_is_told(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        body: dict[str, Any] = {"options": RATIOS, "with_groups": True}
        planned = await imported(desk, "ratios", **body, dry_run=True)
        assert (await desk.get("/prices")).json() == {"prices": []}
        told = await imported(desk, "ratios", **body)
        assert told["models"][0] | {"version": None} == planned["models"][0]
        assert {(each["model"], each["version"]) for each in told["models"]} == {
            ("gpt-4o", 1),
            ("mj_imagine", 1),
        }
        current = (await desk.get("/prices/gpt-4o")).json()["current"]
        assert {name: amount for name, amount in current.items() if amount} == {
            "model": "gpt-4o",
            "version": 1,
            "input": "2.5",
            "output": "10",
            "cache_read": "1.25",
            "cache_write_5m": "3.125",
            "cache_write_1h": "5",
            "effective_from": current["effective_from"],
            "provenance": "ratios",
        }
        assert (await desk.get("/prices/mj_imagine")).json()["current"]["per_call"] == "0.1"
        problems = {(each["option"], each["name"]) for each in told["problems"]}
        assert problems == {
            ("ModelRatio", "thirds"),
            ("ModelRatio", "gpt-4-gizmo-*"),
            ("GroupRatio", "a//b"),
        }
        assert told["ignored"] == ["SystemName"]
        await desk.desk.up_to_date()
        paid = desk.desk.configuration.multiplier
        assert (paid("vip"), paid("default"), paid("default", "vip")) == (
            Multiplier(17, 20),
            Multiplier(1, 1),
            Multiplier(9, 10),
        )
        assert paid("\u8d35\u5bbe") == Multiplier(2, 1)

    at_desk(servers, check)


def test_groups_are_left_alone_unless_they_are_asked_for(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        told = await imported(desk, "ratios", book="d", options=RATIOS)
        assert told["multipliers"] == {"default": "1", "vip": "0.85", "\u8d35\u5bbe": "2"}
        assert told["for_members"] == {"vip": {"default": "0.9"}}
        assert (await desk.get("/groups")).json() == {"groups": []}
        assert (await desk.get("/prices")).json() == {"prices": []}

    at_desk(servers, check)


def test_a_book_is_told_as_ratios_that_import_to_the_same_book(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        await imported(desk, "ratios", options=RATIOS)
        await desk.ask("PUT", "/prices/odd", json={"input": "3", "output": "4"})
        told = (await desk.get("/price-books/sale/ratios")).json()
        assert told["options"]["ModelRatio"] == {"gpt-4o": "1.25", "odd": "1.5"}
        assert told["options"]["CompletionRatio"] == {"gpt-4o": "4", "odd": "4/3"}
        assert told["options"]["ModelPrice"] == {"mj_imagine": "0.1"}
        assert list(told["lost"]) == ["odd"]
        options = {name: json.dumps(table) for name, table in told["options"].items()}
        again = await imported(desk, "ratios", options=options)
        outcomes = {each["model"]: each["outcome"] for each in again["models"]}
        assert outcomes == {"gpt-4o": "unchanged", "mj_imagine": "unchanged", "odd": "changed"}
        assert again["problems"] == []

    at_desk(servers, check)


def test_what_are_no_ratios_is_refused_with_nothing_set(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        before = await events(servers)
        for options in (
            {},
            {"Nothing": "{}"},
            {"ModelRatio": "["},
            {"ModelRatio": "[1]"},
            {"ModelRatio": {"gpt-4o": 1.25}},  # numbers would have lost their digits on the way
            {"GroupGroupRatio": '{"vip": 1}'},
        ):
            answer = await desk.post("/price-books/sale/import-ratios", json={"options": options})
            assert answer.status_code == 422, options
        assert await events(servers) == before
        auditor = await desk.operator("auditor")
        for kind, body in (("ratios", {"options": RATIOS}), ("catalogue", {"models": [SONNET]})):
            path = f"/price-books/sale/import-{kind}"
            assert (await desk.post(path, json=body, token=auditor)).status_code == 403

    at_desk(servers, check)
