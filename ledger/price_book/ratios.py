"""Prices out of ratios, as operators of new-api know them. Pure, in exact rational numbers.

There a ratio of 1 is 2 USD per million input tokens, and everything else a multiple of the model's
own: completion, reading a cache (1 where nothing is said), writing one (1.25; for an hour 1.6
times that), images, audio. A fixed price per call goes before all of them. Tools are priced by
themselves (`tool_prices`), which only counts where that table is given. What would not come out as
a whole number of nanodollars is told and not imported: nothing here is rounded. Told and left out
as well is a model that is charged in another mode, by an expression above all: its ratios, if it
has any, are not what its calls cost there.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from ledger.money import AMOUNT_NANOS_MAX, NANOS_PER_USD
from ledger.price_book.exact import read_exact, write_exact
from ledger.price_book.family_ratios import hardcoded_audio_nanos, hardcoded_completion_ratio
from ledger.price_book.tool_prices import TOOL_PRICES, is_known_tool, tool_usd
from ledger.pricing import Multiplier, Price

RATIO_ONE_NANOS = 2 * NANOS_PER_USD
"""What a ratio of 1 is per million tokens, in nanodollars."""

CACHE_WRITE_RATIO = Fraction(5, 4)
"""What writing a cache costs where no CreateCacheRatio is given."""

HOUR_CACHE_FACTOR = Fraction(8, 5)
"""What writing it for an hour costs, compared with five minutes (6 / 3.75)."""

MODEL_TABLES = (
    "ModelRatio",
    "CompletionRatio",
    "CacheRatio",
    "CreateCacheRatio",
    "ModelPrice",
    "ImageRatio",
    "AudioRatio",
    "AudioCompletionRatio",
)
TABLES = (*MODEL_TABLES, "GroupRatio", "GroupGroupRatio", TOOL_PRICES)
"""The options that are read, by the names they have there."""

MODES = "billing_setting.billing_mode"
"""The option that says by what a model is charged, where that is not its ratio or fixed price."""

_BY_RATIO = ("", "ratio")

_TERM_MAX = 10**15


class NotRatios(ValueError):
    """A document holds none of the tables, or one that is not what its name says."""


class Finding(NamedTuple):
    """Something the operator should know: which table, whose entry, and what about it."""

    option: str
    name: str
    message: str


Table = Mapping[str, Fraction]


@dataclass(frozen=True, slots=True)
class Tables:
    """The tables by name, their entries exact; and entries that are no ratio."""

    by_model: Mapping[str, Table]
    group_ratio: Table = field(default_factory=dict)
    group_group_ratio: Mapping[str, Table] = field(default_factory=dict)
    problems: tuple[Finding, ...] = ()
    ignored: tuple[str, ...] = ()
    otherwise: Mapping[str, str] = field(default_factory=dict)
    """By model: the name of the mode that it is charged by instead of all these."""

    def of(self, option: str) -> Table:
        """One table; empty where it was not given."""
        return self.by_model.get(option, {})


@dataclass(frozen=True, slots=True)
class Imported:
    """What came out of the tables. `problems`: what was left out; `notes`: what is worth knowing.

    `for_members`: what members of a group (outer name) pay in another (inner), in place of that
    one's multiplier.
    """

    prices: Mapping[str, Price]
    multipliers: Mapping[str, Multiplier]
    for_members: Mapping[str, Mapping[str, Multiplier]]
    problems: tuple[Finding, ...]
    notes: tuple[Finding, ...]


class _Inexact(Exception):
    """A price is no whole number of nanodollars."""


def read_tables(document: object) -> Tables:
    """The tables in a document: option names with objects, or with JSON text as it is stored
    there, or the list of `{"key", "value"}` that `/api/option` gives.

    Numbers must have been read with `parse_float=Decimal`. Raises NotRatios.
    """
    options = _options(document)
    known = {name: _members(name, options[name]) for name in TABLES if name in options}
    modes = _members(MODES, options.get(MODES, {}))
    if not known and not modes:
        raise NotRatios(f"none of the tables is here: {', '.join(TABLES)}")
    problems: list[Finding] = []
    tables = {
        name: _table(name, members, problems)
        for name, members in known.items()
        if name != "GroupGroupRatio"
    }
    special = {
        group: _table("GroupGroupRatio", _members(f"GroupGroupRatio.{group}", members), problems)
        for group, members in known.get("GroupGroupRatio", {}).items()
    }
    return Tables(
        by_model=tables,
        group_ratio=tables.get("GroupRatio", {}),
        group_group_ratio=special,
        problems=tuple(problems),
        ignored=tuple(sorted(set(options) - {*TABLES, MODES})),
        otherwise={model: str(mode) for model, mode in modes.items() if mode not in _BY_RATIO},
    )


def import_ratios(tables: Tables) -> Imported:
    """Prices of every model that has a ratio or a price, and the groups' multipliers."""
    prices: dict[str, Price] = {}
    problems = list(tables.problems)
    notes: list[Finding] = []
    for model, mode in tables.otherwise.items():
        message = f"is charged in the mode {mode[:40]!r}, not by its ratios: set its price by hand"
        problems.append(Finding(MODES, model, message))
    for model in dict.fromkeys((*tables.of("ModelRatio"), *tables.of("ModelPrice"))):
        if model in tables.otherwise:
            continue
        option = "ModelPrice" if model in tables.of("ModelPrice") else "ModelRatio"
        if "*" in model:
            problems.append(Finding(option, model, "stands for many models: name each"))
            continue
        try:
            prices[model] = _price(tables, model)
        except _Inexact as reason:
            problems.append(Finding(option, model, str(reason)))
        else:
            notes += _notes(tables, model)
    notes += _unknown_tools(tables)
    notes += _unused(tables, set(prices) | {finding.name for finding in problems})
    multipliers = _multipliers("GroupRatio", tables.group_ratio, problems)
    for_members = {
        group: _multipliers("GroupGroupRatio", table, problems)
        for group, table in tables.group_group_ratio.items()
    }
    return Imported(prices, multipliers, for_members, tuple(problems), tuple(notes))


def completion_ratio(tables: Tables, model: str) -> Fraction:
    """How much dearer a model's output is; the operator's table counts unless it is locked."""
    table = tables.of("CompletionRatio")
    hardcoded, is_locked = hardcoded_completion_ratio(model)
    if is_locked and "/" not in model:
        return hardcoded
    return table.get(model, hardcoded)


def _price(tables: Tables, model: str) -> Price:
    tools = _tools(tables, model)
    fixed_usd = tables.of("ModelPrice").get(model)
    if fixed_usd is not None:
        return Price(rates={"calls": _nanos("per_call", fixed_usd * NANOS_PER_USD)} | tools)
    input_nanos = tables.of("ModelRatio")[model] * RATIO_ONE_NANOS
    cache_write = input_nanos * tables.of("CreateCacheRatio").get(model, CACHE_WRITE_RATIO)
    exact = {
        "input": input_nanos,
        "output": input_nanos * completion_ratio(tables, model),
        "cache_write_5m": cache_write,
        "cache_write_1h": cache_write * HOUR_CACHE_FACTOR,
    }
    if model in tables.of("CacheRatio"):
        exact["cache_read"] = input_nanos * tables.of("CacheRatio")[model]
    if model in tables.of("ImageRatio"):
        exact["image_in"] = input_nanos * tables.of("ImageRatio")[model]
    exact |= _audio(tables, model, input_nanos)
    return Price(rates={kind: _nanos(kind, nanos) for kind, nanos in exact.items()} | tools)


def _tools(tables: Tables, model: str) -> dict[str, int]:
    if TOOL_PRICES not in tables.by_model:
        return {}
    usd = tool_usd(model, tables.of(TOOL_PRICES)).usd
    return {kind: _nanos(kind, each * NANOS_PER_USD) for kind, each in usd.items()}


def _audio(tables: Tables, model: str, input_nanos: Fraction) -> dict[str, Fraction]:
    """Where a model has no audio ratio, audio is counted with its text."""
    ratio = tables.of("AudioRatio").get(model)
    if ratio is None:
        hardcoded = hardcoded_audio_nanos(model)
        return {} if hardcoded is None else {"audio_in": Fraction(hardcoded)}
    spoken = tables.of("AudioCompletionRatio").get(model, Fraction(1))
    return {"audio_in": input_nanos * ratio, "audio_out": input_nanos * ratio * spoken}


def _nanos(kind: str, exact: Fraction) -> int:
    if exact.denominator != 1:
        usd = write_exact(exact / NANOS_PER_USD)
        raise _Inexact(f"{kind} would be {usd} USD, no whole number of nanodollars")
    if exact > AMOUNT_NANOS_MAX:
        raise _Inexact(f"{kind} would be more than any price")
    return exact.numerator


def _notes(tables: Tables, model: str) -> Iterator[Finding]:
    if model in tables.of("ModelPrice") and model in tables.of("ModelRatio"):
        yield Finding("ModelRatio", model, "not used: the model has a fixed price")
    given = tables.of("CompletionRatio").get(model)
    used = completion_ratio(tables, model)
    if given is not None and given != used and model not in tables.of("ModelPrice"):
        message = f"not used: {write_exact(used)} is locked for this name"
        yield Finding("CompletionRatio", model, message)
    if model in tables.of("AudioCompletionRatio") and model not in tables.of("AudioRatio"):
        yield Finding("AudioCompletionRatio", model, "not used: the model has no AudioRatio")
    if TOOL_PRICES in tables.by_model:
        for message in tool_usd(model, tables.of(TOOL_PRICES)).notes:
            yield Finding(TOOL_PRICES, model, message)


def _unknown_tools(tables: Tables) -> Iterator[Finding]:
    for key in tables.of(TOOL_PRICES):
        if not is_known_tool(key):
            yield Finding(TOOL_PRICES, key, "not used: calls of this tool are not counted here")


def _unused(tables: Tables, models: set[str]) -> Iterator[Finding]:
    for option in MODEL_TABLES:
        for model in tables.of(option):
            if model not in models:
                message = "not used: the model has neither a ratio nor a fixed price"
                yield Finding(option, model, message)


def _multipliers(option: str, table: Table, problems: list[Finding]) -> dict[str, Multiplier]:
    found = {}
    for name, ratio in table.items():
        if max(ratio.numerator, ratio.denominator) > _TERM_MAX:
            problems.append(Finding(option, name, "has more digits than a multiplier may have"))
        else:
            found[name] = Multiplier(ratio.numerator, ratio.denominator)
    return found


def _options(document: object) -> Mapping[str, object]:
    if isinstance(document, dict) and isinstance(document.get("data"), list):
        document = document["data"]
    if isinstance(document, list):
        pairs = [each for each in document if isinstance(each, dict)]
        return {str(each.get("key")): each.get("value") for each in pairs}
    if not isinstance(document, dict):
        raise NotRatios("not an object of tables by their names")
    return document


def _members(name: str, value: object) -> Mapping[str, object]:
    if isinstance(value, str):
        try:
            value = json.loads(value or "{}", parse_float=Decimal)
        except (ValueError, RecursionError) as error:
            raise NotRatios(f"{name} is not JSON") from error
    if not isinstance(value, dict):
        raise NotRatios(f"{name} is not an object of numbers by name")
    return value


def _table(name: str, members: Mapping[str, object], problems: list[Finding]) -> Table:
    table = {}
    for entry, value in members.items():
        try:
            table[entry] = read_exact(value)
        except ValueError as reason:
            problems.append(Finding(name, entry, f"is not a ratio: {reason}"))
    return table
