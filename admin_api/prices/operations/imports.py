"""Prices from elsewhere into a book: from the catalogue, and from ratios. Shown before it is done.

Everything that is imported is set as one decision, all or none. What is there already, and charges
the same, is left as it is: the same import again sets nothing.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from admin_api.desk import Desk
from admin_api.errors import InvalidInput
from admin_api.fields import inputs
from admin_api.prices.operations.books import Outcome, compare_prices
from admin_api.prices.operations.decisions import Decider, Version, Wanted, set_prices
from admin_api.prices.operations.prices import is_draft, list_prices
from ledger import clock
from ledger.application import Request
from ledger.errors import NotFound
from ledger.price_book import catalogue
from ledger.price_book.catalogue import Catalogue, Dated, Entry
from ledger.price_book.difference import Change
from ledger.price_book.ratio_view import RatioView, ratios_of
from ledger.price_book.ratios import Finding, Imported, NotRatios, import_ratios, read_tables
from ledger.pricing import Multiplier, Price
from ledger.streams import group

MODELS_MAX = 1_000
"""So many models at most are imported at once."""


@dataclass(frozen=True, slots=True)
class Planned:
    """What becomes of one model. `outcome` refused: `message` says why, and nothing is set.

    `not_expressed`: what its provider charges beside, and no price here can say. `later`: a price
    that is announced for `effective_from_us`.
    """

    model: str
    outcome: Outcome | Literal["refused"]
    price: Price | None = None
    changes: tuple[Change, ...] = ()
    provenance: str = ""
    not_expressed: tuple[str, ...] = ()
    message: str = ""
    effective_from_us: int | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """An import, before it is carried out or after: then with the versions that were set."""

    models: list[Planned]
    multipliers: Mapping[str, Multiplier] = field(default_factory=dict)
    for_members: Mapping[str, Mapping[str, Multiplier]] = field(default_factory=dict)
    problems: tuple[Finding, ...] = ()
    notes: tuple[Finding, ...] = ()
    ignored: tuple[str, ...] = ()
    versions: list[Version] = field(default_factory=list)


async def search_catalogue(
    provider: str | None, search: str, after: int, limit: int
) -> tuple[Catalogue, list[Entry], int]:
    """The catalogue, entries of a provider whose names contain `search`, and how many there are."""
    known = await _catalogue()
    words = search.lower().split()
    found = [
        each
        for each in known.entries
        if provider in (None, each.provider)
        and all(word in f"{each.provider}/{each.model} {each.name}".lower() for word in words)
    ]
    return known, found[after : after + limit], len(found)


async def find_entries(models: Sequence[str], provider: str | None) -> list[Entry]:
    """Entries by `provider:model`, by a name that one provider alone has, or all of a provider.

    Raises InvalidInput, NotFound.
    """
    known = await _catalogue()
    if provider is not None:
        found = [each for each in known.entries if each.provider == provider]
        if not found:
            raise NotFound("the catalogue has no such provider")
        if models:
            found = [_one(found, f"{provider}:{name}") for name in models]
        return _bounded(found)
    if not models:
        raise InvalidInput("models", "name models, or a provider")
    return _bounded([_one(known.entries, name) for name in models])


async def plan_catalogue(desk: Desk, book: str, entries: Sequence[Entry]) -> Plan:
    """What importing entries would do to a book. Raises NotCaughtUp."""
    await desk.up_to_date()
    package_version = (await _catalogue()).package_version
    now_us = clock.now_us()
    return Plan(
        [
            planned
            for entry in entries
            for planned in _planned_in_turn(desk, book, entry, now_us, package_version)
        ]
    )


async def plan_ratios(desk: Desk, book: str, document: object) -> Plan:
    """What importing tables of ratios would do. Raises InvalidInput, NotCaughtUp."""
    await desk.up_to_date()
    try:
        tables = read_tables(document)
    except NotRatios as refusal:
        raise InvalidInput("options", str(refusal)) from refusal
    found = _named_well(import_ratios(tables))
    models = []
    for model, price in found.prices.items():
        try:
            inputs.model("model", model)
        except InvalidInput as refusal:
            models.append(Planned(model, "refused", message=refusal.message))
            continue
        outcome, changes = compare_prices(desk, book, model, price)
        models.append(Planned(model, outcome, price, changes, "ratios"))
    return Plan(
        models=_within(models),
        multipliers=found.multipliers,
        for_members=found.for_members,
        problems=found.problems,
        notes=found.notes,
        ignored=tables.ignored,
    )


async def carry_out(
    desk: Desk, book: str, plan: Plan, decider: Decider, *, with_groups: bool = False
) -> Plan:
    """Set everything in a plan that is new or differs; the plan, with the versions.

    Raises IdempotencyConflict, InvalidInput, NotCaughtUp, StoreUnavailable.
    """
    wanted = [
        Wanted(each.model, each.price, each.effective_from_us, each.provenance)
        for each in plan.models
        if each.price is not None and each.outcome in ("added", "changed")
    ]
    beside = _groups(desk, plan, decider.actor) if with_groups else []
    versions = await set_prices(desk, book, wanted, decider, beside)
    return replace(plan, versions=versions)


async def ratio_views(desk: Desk, book: str) -> list[tuple[str, RatioView]]:
    """Every price in force in a book as ratios, by model. Raises NotCaughtUp."""
    priced = await list_prices(desk, book)
    return [(event.model, ratios_of(event.model, event.price)) for _, event in priced]


def _planned_in_turn(
    desk: Desk, book: str, entry: Entry, now_us: int, package_version: str
) -> Iterator[Planned]:
    """What becomes of the price in force, and of those that are announced.

    A draft has no moments of its own, it is published from one: it takes the price in force alone.
    """
    now = entry.at(now_us)
    later = () if is_draft(book) else entry.after(now_us)
    is_set = False
    for dated in (now, *later):
        planned = _planned(desk, book, entry, dated, None if dated is now else dated)
        if dated is not now and is_set and planned.outcome == "unchanged":
            planned = replace(planned, outcome="changed")  # else what was set just now would stay
        is_set = is_set or planned.outcome in ("added", "changed")
        yield replace(planned, provenance=entry.provenance(dated, package_version))


def _planned(desk: Desk, book: str, entry: Entry, dated: Dated, later: Dated | None) -> Planned:
    from_us = None if later is None else later.effective_from_us
    if dated.price is None:
        return Planned(entry.model, "refused", message=dated.refusal, effective_from_us=from_us)
    outcome, changes = compare_prices(desk, book, entry.model, dated.price, from_us)
    return Planned(
        model=entry.model,
        outcome=outcome,
        price=dated.price,
        changes=changes,
        not_expressed=dated.not_expressed,
        effective_from_us=from_us,
    )


def _groups(desk: Desk, plan: Plan, actor: str) -> list[Request]:
    """Multipliers to set; GroupGroupRatio is kept with the group that is called in."""
    paid_in: dict[str, dict[str, Multiplier]] = {name: {} for name in plan.multipliers}
    for own, paid in plan.for_members.items():
        for name, multiplier in paid.items():
            paid_in.setdefault(name, {})[own] = multiplier
    requests = []
    for name, for_members in paid_in.items():
        multiplier = plan.multipliers.get(name, desk.configuration.multiplier(name))
        command = group.SetGroup(name, multiplier, actor, for_members=for_members)
        requests.append(Request(group.STREAM, group.group_stream_id(name), command))
    return requests


def _named_well(found: Imported) -> Imported:
    """Without the groups whose names are none here: each is told."""
    problems = list(found.problems)

    def is_name(option: str, name: str) -> bool:
        try:
            inputs.group("groups", name)
        except InvalidInput as refusal:
            problems.append(Finding(option, name, refusal.message))
            return False
        return True

    multipliers = {
        name: each for name, each in found.multipliers.items() if is_name("GroupRatio", name)
    }
    for_members = {
        own: {name: each for name, each in paid.items() if is_name("GroupGroupRatio", name)}
        for own, paid in found.for_members.items()
        if is_name("GroupGroupRatio", own)
    }
    return replace(
        found, multipliers=multipliers, for_members=for_members, problems=tuple(problems)
    )


def _one(entries: Iterable[Entry], named: str) -> Entry:
    provider, colon, model = named.partition(":")
    exact = [each for each in entries if colon and (each.provider, each.model) == (provider, model)]
    found = exact or [each for each in entries if each.model == named]
    if not found:
        raise NotFound(f"the catalogue has no {named[:100]!r}")
    if len(found) > 1:
        choices = ", ".join(f"{each.provider}:{each.model}" for each in found[:6])
        raise InvalidInput("models", f"{named[:100]!r} has several providers: say {choices}")
    return found[0]


def _bounded(entries: list[Entry]) -> list[Entry]:
    unique = {each.model: each for each in entries}
    if len(unique) < len(entries):
        raise InvalidInput("models", "two providers' prices for one name: import one of them")
    if len(entries) > MODELS_MAX:
        raise InvalidInput("models", f"must not be more than {MODELS_MAX} at once")
    return entries


def _within(models: list[Planned]) -> list[Planned]:
    if len(models) > MODELS_MAX:
        raise InvalidInput("options", f"must not price more than {MODELS_MAX} models at once")
    return models


async def _catalogue() -> Catalogue:
    return await asyncio.to_thread(catalogue.load)
