"""What tools cost beside their tokens, as operators of new-api know it: USD per 1,000 calls.

Keys are `tool`, or `tool:prefix*` for models whose names begin so; the longest prefix wins, and an
explicit 0 is a price. What the table leaves out has the prices that new-api ships.
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import NamedTuple

TOOL_PRICES = "tool_price_setting.prices"
"""The option, by the name it has there."""

SHIPPED: Mapping[str, Fraction] = {
    "web_search": Fraction(10),
    "web_search_preview": Fraction(10),
    "web_search_preview:gpt-4o*": Fraction(25),
    "web_search_preview:gpt-4.1*": Fraction(25),
    "web_search_preview:gpt-4o-mini*": Fraction(25),
    "web_search_preview:gpt-4.1-mini*": Fraction(25),
    "file_search": Fraction(5, 2),
    "google_search": Fraction(14),
}
"""What holds there until an operator says otherwise."""

_CLASS_OF_TOOL: Mapping[str, str] = {
    "web_search": "web_search",
    "web_search_preview": "web_search",
    "google_search": "web_search",
    "file_search": "file_search",
    "code_interpreter": "code_execution",
    "code_execution": "code_execution",
}
_TOOLS_OF_FAMILY: Mapping[str, tuple[str, ...]] = {
    "gemini": ("google_search", "code_execution"),
    "claude": ("web_search", "code_execution"),
    "": ("web_search", "web_search_preview", "file_search", "code_interpreter"),
}
"""Which tools models can call whose names hold a word; the empty word is in every name."""


class ToolPrices(NamedTuple):
    """What a model's tools cost in USD per 1,000 calls by class of usage; what to know of it."""

    usd: Mapping[str, Fraction]
    notes: tuple[str, ...]


def tool_usd(model: str, table: Mapping[str, Fraction]) -> ToolPrices:
    """The prices of a model's tools under a table of the option's keys.

    Two tools of one class that cost differently are priced as the dearer one, and noted.
    """
    family = next(word for word in _TOOLS_OF_FAMILY if word in model)
    usd: dict[str, Fraction] = {}
    notes: list[str] = []
    for tool in _TOOLS_OF_FAMILY[family]:
        price = _price(tool, model, {**SHIPPED, **table})
        if price is None:
            continue
        kind = _CLASS_OF_TOOL[tool]
        if usd.get(kind, price) != price:
            notes.append(f"{kind}: its tools cost differently there; here all cost the dearer's")
        usd[kind] = max(usd.get(kind, price), price)
    return ToolPrices(usd, tuple(notes))


def is_known_tool(key: str) -> bool:
    """Whether a key of the option names a tool whose calls are counted here."""
    return key.partition(":")[0] in _CLASS_OF_TOOL


def _price(tool: str, model: str, table: Mapping[str, Fraction]) -> Fraction | None:
    fitting = [key for key in table if key.startswith(f"{tool}:") and _fits(key, model)]
    return table[max(fitting, key=len)] if fitting else table.get(tool)


def _fits(key: str, model: str) -> bool:
    pattern = key.partition(":")[2]
    is_prefix = pattern.endswith("*")
    return model.startswith(pattern[:-1]) if is_prefix else model == pattern
