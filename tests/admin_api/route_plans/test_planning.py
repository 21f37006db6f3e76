"""What is told of a route is what the gateway decides: compared over any channels there may be."""

from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from admin_api.channels.types import ChannelType
from admin_api.route_plans.planning import plan_route
from gateway.channels.routing import candidates, in_order, suffixed
from ledger.streams.channel import Channel, KeyCondition
from ledger.streams.routes import Route
from projections.cache.channel_keys import SharedCooling

TYPES = {"keyed": ChannelType(), "free": ChannelType(needs_key=False)}
GROUPS, MODELS = ("default", "vip"), ("m", "m-high", "n")


def needs_key(kind: str) -> bool:
    return TYPES[kind].needs_key


@st.composite
def _channels(draw: Any) -> dict[UUID, Channel]:  # noqa: ANN401 - as hypothesis gives it
    found = {}
    for number in range(draw(st.integers(0, 5))):
        channel_id = UUID(int=number + 1)
        keys = tuple(UUID(int=100 * (number + 1) + n) for n in range(draw(st.integers(0, 3))))
        out = draw(st.lists(st.sampled_from(keys), max_size=2)) if keys else []
        state = draw(st.sampled_from(("refused", "out_of_money", "paused")))
        route = Route(
            type=draw(st.sampled_from(tuple(TYPES))),
            models=draw(st.dictionaries(st.sampled_from(MODELS), st.sampled_from("xyz"))),
            groups=tuple(draw(st.sets(st.sampled_from(GROUPS), min_size=1))),
            priority=draw(st.integers(0, 2)),
            weight=draw(st.integers(0, 3)),
            key_ids=keys,
            key_choice=draw(st.sampled_from(("random", "in_order"))),
        )
        found[channel_id] = Channel(
            channel_id=channel_id,
            route=route,
            out_of_use={key: KeyCondition(state, "why") for key in out},
            is_paused=draw(st.booleans()),
            is_removed=draw(st.integers(0, 4)) == 0,
        )
    return found


@given(_channels(), st.sampled_from(GROUPS), st.sampled_from(("m", "m-high", "n", "m-low", "o")))
def test_the_channels_that_are_asked_are_those_the_gateway_asks(
    channels: dict[UUID, Channel], group: str, model: str
) -> None:
    plan = plan_route(channels, group, model, TYPES, {})
    asked = {
        one.channel_id: (
            one.upstream_model,
            tuple(key.key_id for key in one.keys if key.state == "usable"),
        )
        for one in plan.channels
        if not one.why_not
    }
    gateways = candidates(channels, group, model, needs_key)
    if not gateways and plan.sold_as != model:
        gateways = next((each for _, each in suffixed(channels, group, model, needs_key)), ())
        if not asked:
            return  # the gateway may know a shorter name that is served here
    assert asked == {one.channel_id: (one.upstream_model, one.key_ids) for one in gateways}


@given(_channels(), st.lists(st.floats(0.001, 0.999), min_size=5, max_size=5))
def test_the_first_are_those_that_the_gateway_may_ask_first(
    channels: dict[UUID, Channel], drawn: list[float]
) -> None:
    plan = plan_route(channels, "default", "m", TYPES, {})
    first = {one.channel_id for one in plan.channels if one.probability}
    draws = iter(drawn)
    order = in_order(candidates(channels, "default", "m", needs_key), lambda: next(draws))
    assert bool(order) == bool(first)
    if order:
        assert order[0].channel_id in first
        assert abs(sum(one.probability for one in plan.channels) - 1) < 1e-9
        assert [one.priority for one in order] == [
            one.priority for one in plan.channels if not one.why_not
        ]


def channel(priority: int, *keys: UUID, weight: int = 1) -> Channel:
    route = Route(type="keyed", models={"m": "x"}, priority=priority, weight=weight, key_ids=keys)
    return Channel(channel_id=UUID(int=9), route=route)


def test_an_open_breaker_comes_last_and_a_key_that_rests_is_told() -> None:
    first, second, key, other = (UUID(int=n) for n in range(1, 5))
    channels = {first: channel(5, key), second: channel(0, key, other)}
    cooling = {
        first: {(first, "x"): SharedCooling(7.0, 3, "timeout")},
        second: {
            (key, ""): SharedCooling(2.0, 1, "provider_status_429"),
            (other, "another"): SharedCooling(9.0, 1, "provider_status_429"),
        },
    }
    well, open_ = plan_route(channels, "default", "m", TYPES, cooling).channels
    assert (well.channel_id, well.probability, well.breaker) == (second, 1.0, "")
    assert [(each.state, each.rests_s, each.probability) for each in well.keys] == [
        ("cooling", 2.0, 0.0),
        ("usable", 0.0, 1.0),
    ]
    assert (open_.channel_id, open_.breaker, open_.breaker_rests_s) == (first, "open", 7.0)
    assert (open_.probability, open_.why_not) == (0.0, "")
    forgiven = {first: {(first, ""): SharedCooling(0.0, 0, "")}}
    again = plan_route(channels, "default", "m", TYPES, forgiven).channels
    assert [one.channel_id for one in again] == [first, second]
    half = {first: {(first, "x"): SharedCooling(0.0, 3, "timeout")}}
    assert plan_route(channels, "default", "m", TYPES, half).channels[0].breaker == "half_open"
