"""The doctor's look at what providers take: prices under a name that no call is asked for."""

import re
from collections.abc import Iterator

from gateway.conversation.reasoning_suffixes import read_suffix
from gateway.providers.registry import PROVIDERS
from ledger import clock
from ledger.streams import price
from ledger.streams.channel import Channel
from ledger.streams.routes import Route
from projections.configuration import Configuration
from tollgate.doctor.postgres_checks import Finding

_DATED = re.compile(r"[-@](\d{4}-\d{2}-\d{2}|\d{8}|\d{4}|\d{3}|latest)$")
"""How vendors end the name of one release of a model: `-2024-08-06`, `-20250929`, `@20240620`."""


def cost_findings(configuration: Configuration, channels: list[Channel]) -> Iterator[Finding]:
    """Models whose calls have no cost price, while another release's name has one."""
    now_us = clock.now_us()
    missing: dict[str, set[str]] = {}
    for one in channels:
        assert one.channel_id is not None
        known = _priced(configuration, now_us, price.cost_book(one.channel_id), price.COST)
        for asked in _asked(one.route):
            beside = {name for name in known if _undated(name) == _undated(asked)}
            if beside and asked not in beside:
                missing.setdefault(asked, set()).update(beside)
    for asked, beside in sorted(missing.items()):
        yield Finding(
            f"what {asked!r} costs us is not known: the cost price is that of "
            f"{', '.join(map(repr, sorted(beside)))}, and calls are asked for {asked!r}",
            f"set it under that name, `tollgate price set {asked} input=... --cost`",
        )


def _priced(configuration: Configuration, now_us: int, *books: str) -> set[str]:
    costs = configuration.held.costs
    return {name for (book, name), all_ in costs.items() if book in books and all_.at(now_us)}


def _asked(route: Route) -> set[str]:
    """The names by which the provider is asked, without endings that say how to think."""
    provider = PROVIDERS.get(route.type)
    if provider is None:
        return set()
    return {
        read_suffix(name, spoken, provider.habits.suffixes, route.shaping.keeps_suffix).model
        for name in route.models.values()
        for spoken in provider.formats(route.base_url or provider.base_url, name, route.settings)
    }


def _undated(name: str) -> str:
    return _DATED.sub("", name)
