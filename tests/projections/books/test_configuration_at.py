"""Prices, channels, settings and groups as of any position."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from ledger.ids import entity_id
from ledger.pricing import Multiplier, Price
from ledger.streams import channel
from ledger.streams.group import GroupSet, group_stream_id
from ledger.streams.price import COST, PriceSet, price_stream_id
from ledger.streams.setting import SettingChanged, setting_stream_id
from projections.books.as_of import AsOf, resolve_as_of
from projections.books.configuration_at import (
    PriceAt,
    channel_at,
    groups_at,
    price_at,
    settings_at,
)
from projections.registry import PROJECTIONS
from tests.builders import LawfulLog
from tests.projections.books.asking import ask, stored
from tests.projections.conftest import Books
from tests.projections.driving import run_to_head
from tests.projections.hand_made import Log

VIEWS = [each for each in PROJECTIONS if each.name in ("settings", "groups")]
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def price_set(micro_usd: int, from_us: int, book: str = "") -> PriceSet:
    price = Price(rates={"input": micro_usd})
    return PriceSet(model="m", price=price, effective_from_us=from_us, actor="root", book=book)


def us(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def test_a_price_is_the_version_known_then_that_was_in_force_then(books: Books) -> None:
    log = Log(books)
    stream = price_stream_id("m")
    nothing = log.add(entity_id(), GroupSet(name="g", multiplier=Multiplier(), actor="root"))
    begun = price_set(1, 0)
    planned = price_set(2, us(BEGIN))
    first = log.add(stream, begun)
    second = log.add(stream, planned)
    of_costs = price_set(7, 0, COST)
    third = log.add(price_stream_id("m", COST), of_costs)

    async def at(connection: AsyncConnection[Any], position: int, moment: datetime) -> Any:  # noqa: ANN401
        return await price_at(connection, "m", AsOf(position, None, moment, third))

    async def question(connection: AsyncConnection[Any]) -> None:
        early = BEGIN - timedelta(microseconds=1)
        assert await at(connection, nothing, BEGIN) is None
        assert await at(connection, first, BEGIN) == PriceAt((1, begun), 1)
        assert await at(connection, second, early) == PriceAt((1, begun), 2)
        assert await at(connection, second, BEGIN) == PriceAt((2, planned), 2)
        now = await resolve_as_of(connection, None)
        assert await price_at(connection, "m", now, COST) == PriceAt((1, of_costs), 1)
        assert await price_at(connection, "other", now) is None

    ask(books, question)


def test_a_price_that_had_not_begun_is_known_and_not_in_force(books: Books) -> None:
    position = Log(books).add(price_stream_id("m"), price_set(1, us(BEGIN)))
    early = AsOf(position, None, BEGIN - timedelta(days=1), position)
    assert ask(books, lambda connection: price_at(connection, "m", early)) == PriceAt(None, 1)


def test_every_channel_is_right_after_each_of_its_events(books: Books) -> None:
    log = LawfulLog(books.connection, seed=1)
    log.grow(400)
    rows = books.connection.execute(
        "select position, originator_id from ledger.event where topic like 'channel.%%' "
        "order by position"
    ).fetchall()
    versions: dict[UUID, int] = defaultdict(int)

    async def question(connection: AsyncConnection[Any]) -> None:
        for position, stream_id in rows:
            versions[stream_id] += 1
            as_of = await resolve_as_of(connection, position)
            found = await channel_at(connection, stream_id, as_of)
            assert found is not None
            state, known = found
            assert (state.version, known.position) == (versions[stream_id], position)
            before = await resolve_as_of(connection, position - 1)
            earlier = await channel_at(connection, stream_id, before)
            assert (earlier is None) == (versions[stream_id] == 1)

    ask(books, question)
    assert max(versions.values()) > 5


def test_an_id_of_something_else_is_no_channel(books: Books) -> None:
    log = LawfulLog(books.connection, seed=2)
    log.grow(50)

    async def question(connection: AsyncConnection[Any]) -> None:
        as_of = await resolve_as_of(connection, None)
        assert await channel_at(connection, log.accounts[0], as_of) is None
        found = await channel_at(connection, log.channels[0], as_of)
        assert found is not None
        assert isinstance(found[0], channel.Channel)

    ask(books, question)


def test_settings_and_groups_are_all_that_was_set_until_then(books: Books) -> None:
    log = Log(books)
    expected: dict[int, tuple[dict[str, str], dict[str, int]]] = {}
    values: dict[str, str] = {}
    groups: dict[str, int] = {}
    for number in range(12):
        name = f"s{number % 5}"
        values[name] = str(number)
        log.add(setting_stream_id(name), SettingChanged(name=name, value=str(number), actor="a"))
        group = f"g{number % 4}"
        groups[group] = number
        multiplier = Multiplier(number, 1)
        given = GroupSet(name=group, multiplier=multiplier, actor="a")
        expected[log.add(group_stream_id(group), given)] = dict(values), dict(groups)
        if number == 6:
            run_to_head(books.dsn, books.connection, VIEWS)

    async def question(connection: AsyncConnection[Any]) -> None:
        for position, (then, multipliers) in expected.items():
            as_of = await resolve_as_of(connection, position)
            found = await settings_at(connection, as_of)
            assert {name: state.value for name, state, _ in found} == then
            assert [name for name, _, _ in found] == sorted(then)
            at_groups = await groups_at(connection, as_of)
            assert {each.name: each.multiplier.numerator for each, _ in at_groups} == multipliers

    ask(books, question)
    run_to_head(books.dsn, books.connection, VIEWS)
    ask(books, question)
    assert len(stored(books)) == 24
