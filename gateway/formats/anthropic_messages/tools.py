"""Tools that Anthropic runs by itself, as they are billed: per call.

Source: https://docs.anthropic.com/en/docs/agents-and-tools/tool-use/web-search-tool: a search is
one use however many results it has, and one that failed is not billed. Fetching pages is free.
Running code is billed by the hour of its container, which no answer tells; its calls are counted.
"""

from collections.abc import Mapping
from typing import Any

from gateway.formats.values import TOOL_CALLS_DEFAULT
from ledger.usage import TOOL_CLASSES, Usage

COUNT_MAX = 1_000_000
"""More calls than this in one message are a provider's mistake."""

_CLASS_OF_RESULT: Mapping[str, str] = {
    "web_search_tool_result": "web_search",
    "code_execution_tool_result": "code_execution",
    "bash_code_execution_tool_result": "code_execution",
    "text_editor_code_execution_tool_result": "code_execution",
}
_TOLD_AS: Mapping[str, str] = {
    "web_search": "web_search_requests",
    "code_execution": "code_execution_requests",
}
_CLASS_OF_TOOL: Mapping[str, str] = {
    "web_search_": "web_search",
    "code_execution_": "code_execution",
}


class ToolCount:
    """Counts the results of tools as content blocks begin: for what a usage does not tell."""

    def __init__(self) -> None:
        self._seen = dict.fromkeys(TOOL_CLASSES, 0)

    def add(self, block: object) -> None:
        """One content block, whole or just begun."""
        if type(block) is not dict or type(block.get("type")) is not str:
            return
        kind = _CLASS_OF_RESULT.get(block["type"])
        if kind is not None and not _is_error(block.get("content")):
            self._seen[kind] += 1

    def tools(self, told_usage: object) -> Usage:
        """The calls: those that a decoded usage tells (cumulative in a stream), else those seen."""
        told = told_usage.get("server_tool_use") if type(told_usage) is dict else None
        counts = told if type(told) is dict else {}
        return Usage(
            **{
                kind: _count(counts.get(_TOLD_AS.get(kind, "")), seen)
                for kind, seen in self._seen.items()
            }
        )


def tool_calls_of(document: Mapping[str, Any]) -> dict[str, int]:
    """How often each billed tool that a request offers may be called: its own `max_uses`."""
    calls: dict[str, int] = {}
    for tool in document.get("tools") or ():
        for name, kind in _CLASS_OF_TOOL.items():
            if str(tool.get("type", "")).startswith(name):
                limit = tool.get("max_uses")
                is_limit = type(limit) is int and 0 <= limit <= COUNT_MAX
                calls[kind] = limit if is_limit else TOOL_CALLS_DEFAULT
    return calls


def _is_error(content: object) -> bool:
    return type(content) is dict and str(content.get("type", "")).endswith("_error")


def _count(told: object, seen: int) -> int:
    return told if type(told) is int and 0 <= told <= COUNT_MAX else seen
