"""What would become of somebody's call of a model: the price, the channels, or the refusal."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from admin_api.desk import Desk
from admin_api.errors import InvalidInput
from admin_api.fields import inputs
from admin_api.route_plans.planning import Cooling, RoutePlan, plan_route
from ledger import clock, vault
from ledger.errors import NotFound
from ledger.pricing import Multiplier
from ledger.streams import account, api_key
from ledger.streams.account import Account
from ledger.streams.api_key import ApiKey
from ledger.streams.price import PriceSet
from projections.cache.errors import CacheUnavailable


@dataclass(frozen=True, slots=True)
class RouteView:
    """The plan for a call that is made now. `refusal`: the code that the client would be told
    before any channel is asked; empty: none. `names`: of the channels. `is_shared`: whether what
    processes tell each other of keys and breakers is known here.
    """

    model: str
    group: str
    multiplier: Multiplier
    price: tuple[int, PriceSet] | None
    refusal: str
    plan: RoutePlan
    names: dict[UUID, str]
    now: datetime
    is_shared: bool = True


async def simulate(
    desk: Desk, model: str, *, account_id: UUID | None = None, key_id: UUID | None = None
) -> RouteView:
    """By an account's own terms, or by those of one of its keys.

    Raises InvalidInput, NotFound, NotCaughtUp.
    """
    model = inputs.model("model", model)
    if (account_id is None) == (key_id is None):
        raise InvalidInput("account", "name an account or a key, one of them")
    await desk.up_to_date()
    key = None if key_id is None else await _key(desk, key_id)
    payer = await _account(desk, account_id if key is None else _account_of(key))
    group = payer.group if key is None else key.terms.group or payer.group
    held = desk.configuration.held
    serving = [each for each, one in held.channels.items() if _may_list(one.route.models, model)]
    cooling, is_shared = await _cooling(desk, serving)
    plan = plan_route(held.channels, group, model, desk.channel_types, cooling)
    history = held.prices.get(model) or held.prices.get(plan.sold_as)
    price = None if history is None else history.at(clock.now_us())
    own_group = payer.group if group != payer.group else ""
    async with desk.pool.connection() as connection:
        named = [one.channel_id for one in plan.channels]
        names = await vault.tell_many(connection, desk.vault, "channel", "name", named)
    return RouteView(
        model=model,
        group=group,
        multiplier=desk.configuration.multiplier(group, own_group),
        price=price,
        refusal=_refusal(payer, key, model, plan, has_price=price is not None),
        plan=plan,
        names={channel_id: name for channel_id, name in names.items() if name},
        now=datetime.fromtimestamp(clock.now_us() / 1_000_000, UTC),
        is_shared=is_shared,
    )


def _may_list(models: dict[str, str], model: str) -> bool:
    return any(model == name or model.startswith(f"{name}-") for name in models)


async def _account(desk: Desk, account_id: UUID | None) -> Account:
    state: Account = await desk.state(account.STREAM, account_id) if account_id else Account()
    if state.account_id is None:
        raise NotFound("no such account")
    return state


async def _key(desk: Desk, key_id: UUID) -> ApiKey:
    state: ApiKey = await desk.state(api_key.STREAM, key_id)
    if state.issued is None:
        raise NotFound("no such key")
    return state


def _account_of(key: ApiKey) -> UUID:
    assert key.issued is not None, "only issued keys are looked at"
    return key.issued.account_id


async def _cooling(desk: Desk, channel_ids: list[UUID]) -> tuple[dict[UUID, Cooling], bool]:
    try:
        told = await asyncio.gather(*(desk.channel_keys.cooling(each) for each in channel_ids))
    except CacheUnavailable:
        return {}, False
    return dict(zip(channel_ids, told, strict=True)), True


def _refusal(
    payer: Account, key: ApiKey | None, model: str, plan: RoutePlan, *, has_price: bool
) -> str:
    """In the order in which a call is looked at."""
    if key is not None:
        expires_at_us = key.terms.expires_at_us
        if key.is_revoked or (expires_at_us is not None and expires_at_us <= clock.now_us()):
            return "invalid_api_key"
    if payer.is_suspended:
        return "account_suspended"
    allowed = None if key is None else key.terms.models
    if allowed is not None and not {model, plan.sold_as}.intersection(allowed):
        return "model_not_allowed"
    reasons = {one.why_not for one in plan.channels if one.why_not not in ("group", "paused")}
    if not has_price or not reasons:
        return "model_not_found"
    if "" in reasons:
        return ""
    return "rate_limit_exceeded" if "keys_cooling" in reasons else "provider_unavailable"
