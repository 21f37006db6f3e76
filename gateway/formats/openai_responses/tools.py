"""Tools that the provider of a response runs by itself, as they are billed: per call.

Source: https://platform.openai.com/docs/pricing (built-in tools) and
https://platform.openai.com/docs/guides/tools-web-search: of a web search, a `search` is billed, and
opening a page it found or finding something in it is not.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.formats.values import TOOL_CALLS_DEFAULT
from ledger.usage import TOOL_CLASSES, Usage

_CLASS_OF_ITEM: Mapping[str, str] = {
    "web_search_call": "web_search",
    "file_search_call": "file_search",
    "code_interpreter_call": "code_execution",
}
_CLASS_OF_TOOL: Mapping[str, str] = {
    "web_search": "web_search",
    "file_search": "file_search",
    "code_interpreter": "code_execution",
}


class Item(msgspec.Struct, gc=False):
    """What of an output item says whether it is a billed call, and which one it is."""

    id: Any = None
    type: Any = None
    action: Any = None
    status: Any = None


def counted(items: list[Item] | None) -> Usage:
    """The billed calls among some output items."""
    calls = dict.fromkeys(TOOL_CLASSES, 0)
    for item in items or ():
        kind = _CLASS_OF_ITEM.get(item.type) if type(item.type) is str else None
        if kind is not None and item.status != "failed" and _is_billed(item.action):
            calls[kind] += 1
    return Usage(**calls)


def ids_of(items: list[Item] | None) -> tuple[str, ...]:
    """The ids by which items may be named later."""
    return tuple(item.id for item in items or () if type(item.id) is str)


def items_of(output: object) -> list[Item]:
    """The items of a decoded `output`."""
    given = output if type(output) is list else []
    return [_item(each) for each in given if type(each) is dict]


def tool_calls_of(document: Mapping[str, Any]) -> dict[str, int]:
    """How often each billed tool that a request offers may be called.

    `max_tool_calls` is of all tools together; each might take all of it.
    """
    limit = document.get("max_tool_calls")
    most = limit if type(limit) is int and limit >= 0 else TOOL_CALLS_DEFAULT
    return {
        kind: most
        for tool in document.get("tools") or ()
        for name, kind in _CLASS_OF_TOOL.items()
        if str(tool.get("type", "")).startswith(name)  # dated and preview names begin alike
    }


def _item(told: Mapping[str, Any]) -> Item:
    return Item(**{name: told.get(name) for name in Item.__struct_fields__})


def _is_billed(action: object) -> bool:
    kind = action.get("type") if type(action) is dict else None
    return kind is None or kind == "search"
