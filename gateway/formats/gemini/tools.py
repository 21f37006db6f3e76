"""Tools that Google runs by itself, as they are billed.

Source: https://ai.google.dev/gemini-api/docs/google-search (pricing): from Gemini 3 on every search
query is billed that the model ran, equal ones once and empty ones not at all; models up to 2.5
bill a prompt that was searched for once. Running code costs its tokens; its runs are counted.
"""

import re
from collections.abc import Mapping
from typing import Any

from gateway.formats.gemini.requests.contents import parts_of
from gateway.formats.gemini.vocabulary import member
from gateway.formats.values import TOOL_CALLS_DEFAULT
from ledger.usage import Usage

QUERIES_MAX = 1_000
"""Remembered of one answer, so that a query told twice counts once."""

_SEARCHES = ("googleSearch", "googleSearchRetrieval")
_GENERATION = re.compile(r"gemini-(\d{1,3})(?!\d)")
_BILLED_BY_QUERY_SINCE = 3


class ToolCount:
    """Counts over one answer: grounding may be told in several events, each query again."""

    def __init__(self) -> None:
        self._queries: set[str] = set()
        self._runs = 0

    def add(self, candidate: object) -> None:
        """One candidate, or what an event tells of it."""
        if type(candidate) is not dict:
            return
        grounding = member(candidate, "groundingMetadata")
        queries = member(grounding, "webSearchQueries") if type(grounding) is dict else None
        for query in queries if type(queries) is list else ():
            if type(query) is str and query.strip() and len(self._queries) < QUERIES_MAX:
                self._queries.add(query)
        for part in parts_of(candidate.get("content")):
            self._runs += type(part) is dict and member(part, "executableCode") is not None

    def tools(self, model: object) -> Usage:
        """The calls of a model that names itself so."""
        queries = len(self._queries)
        by_prompt = min(queries, 1)
        return Usage(
            web_search=queries if _is_billed_by_query(model) else by_prompt,
            code_execution=self._runs,
        )


def tool_calls_of(document: Mapping[str, Any], model: str) -> dict[str, int]:
    """How often each billed tool that a request offers may be called; nobody can limit it."""
    calls: dict[str, int] = {}
    for tool in document.get("tools") or ():
        if any(member(tool, name) is not None for name in _SEARCHES):
            calls["web_search"] = TOOL_CALLS_DEFAULT if _is_billed_by_query(model) else 1
        if member(tool, "codeExecution") is not None:
            calls["code_execution"] = TOOL_CALLS_DEFAULT
    return calls


def _is_billed_by_query(model: object) -> bool:
    """Names without a generation (`gemini-flash-latest`) are of the newest."""
    found = _GENERATION.search(model) if type(model) is str else None
    return found is None or int(found.group(1)) >= _BILLED_BY_QUERY_SINCE
