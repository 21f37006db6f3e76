"""Lists of closed calls: the same as a fold of the log by other means, page by page."""

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

import pytest

from admin_api.fields.inputs import format_moment
from ledger.ids import entity_id
from ledger.money import format_usd
from ledger.store.reader import Recorded
from ledger.streams.charge import rules as charge
from ledger.streams.charge.events import ChargeAdjusted, RefundIssued, UsageSettled
from projections.views import request_log
from tests.admin_api.desks import OpenDesk, Servers, at_desk
from tests.admin_api.grown import Told, fold, grow, read_log


def closed_calls(log: list[Recorded]) -> Iterator[Told]:
    """What a list must say of each closed call, the last closed first."""
    adjusted: dict[UUID, int] = {}
    for one in log:
        if isinstance(one.event, ChargeAdjusted):
            adjusted[one.stream_id] = adjusted.get(one.stream_id, 0) + one.event.delta_nanos
    for one in reversed(log):
        event = one.event
        if isinstance(event, UsageSettled | RefundIssued):
            charged = event.charged_nanos if isinstance(event, UsageSettled) else 0
            later = adjusted.get(one.stream_id, 0)
            yield {
                "id": str(one.stream_id),
                "position": one.position,
                "account_id": str(event.account_id),
                "key_id": str(event.key_id),
                "model": event.terms.model,
                "group": event.terms.group,
                "closed_at": format_moment(one.recorded_at),
                "charged": format_usd(charged),
                "adjusted": format_usd(later),
                "cost": format_usd(charged + later),
                "duration_ms": event.duration_ms,
                "tries": len(event.attempts),
                **_of_its_kind(event),
            }


def _of_its_kind(event: UsageSettled | RefundIssued) -> Told:
    if isinstance(event, RefundIssued):
        return {"status": "refunded", "ending": None, "reason": event.reason, "channel_id": None}
    used = dict(event.usage.classes())
    prompt = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "audio_in", "image_in")
    return {
        "status": "settled",
        "ending": event.ending,
        "reason": None,
        "channel_id": str(event.channel_id),
        "upstream_model": event.upstream_model,
        "shortfall": format_usd(event.shortfall_nanos),
        "prompt_tokens": sum(used[kind] for kind in prompt),
        "cached_tokens": used["cache_read"],
        "output_tokens": sum(
            used[kind] for kind in ("output", "reasoning", "audio_out", "image_out")
        ),
    }


def is_told(told: Mapping[str, Any], expected: Mapping[str, Any]) -> bool:
    return all(told[name] == value for name, value in expected.items())


async def pages(desk: OpenDesk, limit: int, **asked: object) -> list[Told]:
    """Every page of a list, one behind the other."""
    found: list[Told] = []
    following: int | None = None
    while True:
        before = {} if following is None else {"before": following}
        answer = await desk.get("/requests", params={**asked, **before, "limit": limit})
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert len(page["requests"]) <= limit
        found += page["requests"]
        if page["next"] is None:
            return found
        assert following is None or page["next"] < following
        following = page["next"]


def test_every_closed_call_is_listed_as_the_log_has_it(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        grow(servers)
        await fold(servers)
        log = read_log(servers)
        expected = list(closed_calls(log))
        told = await pages(desk, 70)
        assert len(told) == len(expected) > 140
        assert all(map(is_told, told, expected))
        first = (await desk.get("/requests?limit=1")).json()
        assert first["position"] == log[-1].position

    at_desk(servers, check)


def test_every_condition_narrows_the_list(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_log, "SCANNED_MAX", 90)

    async def check(desk: OpenDesk) -> None:
        grow(servers)
        await fold(servers)
        every = list(closed_calls(read_log(servers)))
        some = next(each for each in every if each["status"] == "settled")
        refunded = next(each for each in every if each["status"] == "refunded")
        names = {"account": "account_id", "key": "key_id", "channel": "channel_id"}
        for asked in (
            {"account": some["account_id"]},
            {"key": some["key_id"]},
            {"model": some["model"]},
            {"channel": some["channel_id"]},
            {"status": "refunded"},
            {"ending": some["ending"]},
            {"account": some["account_id"], "model": some["model"], "status": "settled"},
        ):
            fields = {names.get(name, name): value for name, value in asked.items()}
            expected = [each for each in every if is_told(each, fields)]
            told = await pages(desk, 40, **asked)
            assert [each["id"] for each in told] == [each["id"] for each in expected], asked
            assert 0 < len(expected) < len(every), asked
        by_reason = await pages(desk, 40, ending=refunded["reason"])
        assert by_reason
        assert {each["reason"] for each in by_reason} == {refunded["reason"]}

    at_desk(servers, check)


def test_a_stretch_of_time_is_from_its_beginning_to_before_its_end(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        grow(servers, 400)
        await fold(servers)
        every = list(closed_calls(read_log(servers)))
        since, until = every[-20]["closed_at"], every[20]["closed_at"]
        expected = [each["id"] for each in every if since <= each["closed_at"] < until]
        told = await pages(desk, 15, **{"from": since, "to": until})
        assert [each["id"] for each in told] == expected
        assert 0 < len(expected) < len(every) - 20
        today = every[0]["closed_at"][:10]
        assert len(await pages(desk, 1_000, **{"from": every[-1]["closed_at"][:10]})) == len(every)
        assert await pages(desk, 9, **{"from": "2001-01-01", "to": "2001-12-31"}) == []
        assert (await desk.get("/requests?to=2001-01-01&from=" + today)).status_code == 422
        assert (await desk.get("/requests?from=soon")).status_code == 422
        assert (await desk.get("/requests?colour=red")).status_code == 422

    at_desk(servers, check)


def test_a_key_lists_its_own_calls_and_learns_no_channel(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account_id, strangers = await desk.account(), await desk.account()
        (key_id, secret), (sibling_id, _) = await desk.key(account_id), await desk.key(account_id)
        other_id, _ = await desk.key(strangers)
        for each in (account_id, strangers):
            await desk.credit(each, "1")
        own = await desk.settled_call(account_id, key_id)
        await desk.settled_call(account_id, sibling_id)
        await desk.settled_call(strangers, other_id)
        adjust = charge.Adjust(entity_id(), -800_000, "refund", "operator:x")
        await desk.desk.ledger.handle(charge.STREAM, own, adjust)
        await fold(servers)
        (told,) = (await desk.get("/requests", token=secret)).json()["requests"]
        assert (told["id"], told["charged"], told["cost"]) == (str(own), "0.0018", "0.001")
        assert (told["adjusted"], told["prompt_tokens"], told["output_tokens"]) == (
            "-0.0008",
            1_000,
            100,
        )
        assert told["channel_id"] is told["upstream_model"] is told["anomaly"] is None
        for path, status in (
            (f"/requests?account={account_id}&key={key_id}", 200),
            (f"/requests?account={strangers}", 404),
            (f"/requests?key={sibling_id}", 404),
            (f"/requests?channel={entity_id()}", 403),
        ):
            assert (await desk.get(path, token=secret)).status_code == status, path

    at_desk(servers, check)


def test_the_list_says_how_far_it_knows_and_waits_when_asked_to(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account_id = await desk.account()
        key_id, _ = await desk.key(account_id)
        position = (await desk.credit(account_id, "1")).json()["position"]
        empty: Told = {"requests": [], "next": None, "position": 0}
        assert (await desk.get("/requests")).json() == empty
        answer = await desk.get(f"/requests?at_least={position}")
        assert (answer.status_code, answer.json()["code"]) == (503, "not_caught_up")
        await desk.settled_call(account_id, key_id)
        await fold(servers)
        answer = await desk.get(f"/requests?at_least={position + 2}")
        assert [each["position"] for each in answer.json()["requests"]] == [position + 2]

    at_desk(servers, check)
