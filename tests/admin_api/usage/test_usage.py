"""Usage at the desk: the same sums as a fold of the log by other means, in any time zone's days."""

import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID
from zoneinfo import ZoneInfo

import psycopg
import pytest
from msgspec.structs import replace

from admin_api.fields.inputs import format_moment
from ledger.ids import charge_id
from ledger.money import parse_usd
from ledger.store.reader import Recorded
from ledger.streams.charge.events import ChargeAdjusted, RefundIssued, UsageSettled
from ledger.streams.setting import ChangeSetting, setting_stream_id
from tests.admin_api.desks import OpenDesk, Servers, at_desk
from tests.admin_api.grown import Told, fold, read_log
from tests.builders import LawfulLog
from tests.servers import FreshDatabase

ZONE = setting_stream_id("book.time_zone")
Names = tuple[str | None, ...]
Sums = dict[str, int]


class _InOneZone(LawfulLog):
    """A log whose operators keep to a zone, whatever else they change."""

    zone = "UTC"

    def _time_zone(self) -> ChangeSetting:
        return ChangeSetting("book.time_zone", self.zone, "root")


def grow_over_days(database: FreshDatabase, zone: str, seed: int = 7) -> None:
    """Events at random moments of about a week to come, all of it in the days of one zone."""
    chance = random.Random(seed)
    at = datetime.now(UTC) + timedelta(days=1)
    with (
        psycopg.connect(database.app_dsn, autocommit=True) as connection,
        psycopg.connect(database.owner_dsn, autocommit=True) as owner,
    ):
        log = _InOneZone(connection, seed=seed, accounts=3)
        log.zone = zone
        log.grow(0)
        log.carry_out({ZONE: ChangeSetting("book.time_zone", zone, "root")})
        for _ in range(45):
            at += timedelta(minutes=chance.randrange(1, 400))
            owner.execute("update ledger.head set recorded_at = %s", (at,))
            log.grow(20, batch_groups=10)


def counted(one: Recorded) -> Iterator[tuple[str, int]]:
    """What an event adds to which sum."""
    event = one.event
    match event:
        case UsageSettled():
            yield from (("requests", 1), ("charged", event.charged_nanos))
            yield "shortfall", event.shortfall_nanos
            yield from event.usage.classes()
            if event.cost is not None:
                yield from (("costed_requests", 1), ("cost", event.cost.amount_nanos))
        case RefundIssued():
            yield "refunds", 1
        case ChargeAdjusted():
            yield from (("adjustments", 1), ("adjusted", event.delta_nanos))
            if event.usage is not None and event.reason == "late_usage":
                yield from event.usage.classes()
            if event.late is not None and event.late.cost is not None:
                yield "cost", event.late.cost.amount_nanos
        case _:
            pass


def tries(one: Recorded) -> Iterator[tuple[Recorded, int]]:
    """What tries cost that nobody is charged for, each as if its channel had been the only one."""
    event = one.event
    for attempt in getattr(event, "attempts", ()):
        if attempt.cost is not None:
            changed = {"channel_id": attempt.channel_id}
            if isinstance(event, RefundIssued):
                changed = {"attempts": (attempt,)}
            yield one._replace(event=replace(event, **changed)), attempt.cost.amount_nanos


def folded(log: list[Recorded], combined: Callable[[Recorded], Names]) -> dict[Names, Sums]:
    sums: dict[Names, Sums] = defaultdict(lambda: defaultdict(int))
    for one in log:
        for name, count in counted(one):
            sums[combined(one)][name] += count
        for tried, nanos in tries(one):
            sums[combined(tried)]["cost"] += nanos
    return {
        names: {name: count for name, count in each.items() if count}
        for names, each in sums.items()
    }


def told(lines: list[Told], names: tuple[str, ...]) -> dict[Names, Sums]:
    """The lines of an answer in the same form; no combination comes twice."""
    sums = {}
    for line in lines:
        money = {name: _nanos(line[name]) for name in ("charged", "adjusted", "shortfall", "cost")}
        assert _nanos(line["spent"]) == money["charged"] + money["adjusted"], "R3"
        counts = {
            name: line[name] for name in ("requests", "refunds", "adjustments", "costed_requests")
        }
        every = {**money, **counts, **line["usage"]}
        key = tuple(line[name] for name in names)
        assert key not in sums
        sums[key] = {name: count for name, count in every.items() if count}
    return sums


def _nanos(text: str) -> int:
    return -parse_usd(text[1:]) if text.startswith("-") else parse_usd(text)


def _combined(parts: Sequence[Callable[[Recorded], str | None]], one: Recorded) -> Names:
    return tuple(part(one) for part in parts)


def _channel(one: Recorded) -> str | None:
    match one.event:
        case UsageSettled(channel_id=channel_id):
            return str(channel_id)
        case RefundIssued(attempts=attempts):
            return str(attempts[-1].channel_id) if attempts else None
        case ChargeAdjusted(channel_id=answered, late=late):
            found: UUID | None = answered or (late.channel_id if late else None)
            return str(found) if found else None
        case _:
            raise AssertionError(one)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu", "America/St_Johns"])
def test_hours_and_days_are_those_of_the_book(
    servers: Servers, ledger_database: FreshDatabase, zone: str
) -> None:
    def begins(one: Recorded, **of: int) -> str:
        local = one.recorded_at.astimezone(ZoneInfo(zone))
        begin = local.replace(second=0, microsecond=0, minute=0, **of)  # type: ignore[arg-type]
        return format_moment(begin.astimezone(UTC))

    async def check(desk: OpenDesk) -> None:
        grow_over_days(ledger_database, zone)
        await fold(servers)
        log = [one for one in read_log(servers) if any(counted(one))]
        later = log[-1].recorded_at.astimezone(ZoneInfo(zone)).date()
        first = log[0].recorded_at.astimezone(ZoneInfo(zone)).date()
        days = f"from={first}&to={later}"
        daily = (await desk.get(f"/usage?{days}")).json()
        assert daily["time_zone"] == zone
        expected = folded(log, lambda one: (begins(one, hour=0),))
        assert told(daily["lines"], ("begins_at",)) == expected
        assert len(expected) > 4
        hourly = (await desk.get(f"/usage?{days}&per=hour")).json()
        expected = folded(log, lambda one: (begins(one),))
        assert told(hourly["lines"], ("begins_at",)) == expected
        assert len(expected) > 30
        for line in hourly["lines"]:
            lasts = datetime.fromisoformat(line["ends_at"]) - datetime.fromisoformat(
                line["begins_at"]
            )
            assert lasts == timedelta(hours=1)
        whole = (await desk.get(f"/usage?{days}&per=total")).json()
        (line,) = told(whole["lines"], ()).values()
        assert line == folded(log, lambda _: ())[()]

    at_desk(servers, check)


def test_sums_are_by_any_names_and_of_any(servers: Servers, ledger_database: FreshDatabase) -> None:
    async def check(desk: OpenDesk) -> None:
        grow_over_days(ledger_database, "UTC")
        await fold(servers)
        log = [one for one in read_log(servers) if any(counted(one))]
        days = f"from={log[0].recorded_at:%Y-%m-%d}&per=total"
        columns: dict[str, tuple[str, Callable[[Recorded], str | None]]] = {
            "account": ("account_id", lambda one: str(one.event.account_id)),  # type: ignore[attr-defined]
            "key": ("key_id", lambda one: str(one.event.key_id)),  # type: ignore[attr-defined]
            "model": ("model", lambda one: str(one.event.terms.model)),  # type: ignore[attr-defined]
            "channel": ("channel_id", _channel),
            "group": ("group", lambda one: str(one.event.terms.group)),  # type: ignore[attr-defined]
        }
        for by in (("account",), ("key",), ("channel",), ("account", "model"), tuple(columns)):
            given = [columns[name] for name in by]
            answer = await desk.get(f"/usage?{days}&by={','.join(by)}")
            expected = folded(log, partial(_combined, [of for _, of in given]))
            assert told(answer.json()["lines"], tuple(name for name, _ in given)) == expected, by
            assert len(expected) > 1
        for name, (_, of) in columns.items():
            value = next(filter(None, map(of, log)))
            answer = await desk.get(f"/usage?{days}&{name}={value}")
            (line,) = told(answer.json()["lines"], ()).values()
            assert line == folded(log, partial(_combined, [of]))[value,], name

    at_desk(servers, check)


def test_a_key_sees_its_own_usage_and_neither_costs_nor_channels(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account_id, strangers = await desk.account(), await desk.account()
        (key_id, secret), (sibling_id, _) = await desk.key(account_id), await desk.key(account_id)
        other_id, _ = await desk.key(strangers)
        for each in (account_id, strangers):
            await desk.credit(each, "1")
        await desk.settled_call(account_id, key_id)
        await desk.settled_call(account_id, key_id)
        await desk.settled_call(account_id, sibling_id)
        await desk.settled_call(strangers, other_id)
        await fold(servers)
        (line,) = (await desk.get("/usage?by=key,model", token=secret)).json()["lines"]
        assert (line["key_id"], line["model"], line["requests"]) == (key_id, "m", 2)
        assert line["usage"] == {"input": 2_000, "output": 200}
        assert (line["charged"], line["cost"], line["costed_requests"]) == ("0.0036", None, None)
        for path, status in (
            (f"/usage?account={account_id}&key={key_id}", 200),
            (f"/usage?account={strangers}", 404),
            (f"/usage?key={sibling_id}", 404),
            (f"/usage?channel={charge_id()}", 403),
            ("/usage?by=channel", 403),
        ):
            assert (await desk.get(path, token=secret)).status_code == status, path
        (line,) = (await desk.get(f"/usage?account={account_id}")).json()["lines"]
        assert (line["requests"], line["charged"], line["cost"]) == (3, "0.0054", "0")

    at_desk(servers, check)


def test_what_cannot_be_asked_is_refused(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        answer = (await desk.get("/usage")).json()
        assert answer == {"lines": [], "time_zone": "UTC", "position": 0}
        for query in (
            "by=colour",
            "by=account,account",
            "per=minute",
            "from=2030-02-01&to=2030-01-31",
            "from=2030-01-01&to=2030-12-31",
            "from=2030-01-01T00:00:00Z",
            "colour=red",
        ):
            assert (await desk.get(f"/usage?{query}")).status_code == 422, query
        far = await desk.get("/usage?from=1970-01-01&to=9998-12-30&per=total")
        assert far.status_code == 200

    at_desk(servers, check)
