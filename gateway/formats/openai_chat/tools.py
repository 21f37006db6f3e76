"""Web searches behind chat completions, as they are billed: per call.

Source: https://platform.openai.com/docs/guides/tools-web-search: models made for it search before
every answer, which is one call; the answer does not say so. OpenRouter tells its searches in
`usage.server_tool_use` (https://openrouter.ai/docs/features/web-search), Perplexity's deep research
in `usage.num_search_queries` (https://docs.perplexity.ai/getting-started/pricing).
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from ledger.usage import Usage

COUNT_MAX = 1_000_000
"""More searches than this in one call are a provider's mistake."""

_SEARCHES_ALWAYS = re.compile(r"search-(?:preview|api)(?:-\d{4}-\d\d-\d\d)?$")


def tools_in(model: object, told_usage: object) -> Usage:
    """The searches of an answer by a model that names itself so, with this decoded usage."""
    told = told_usage if type(told_usage) is dict else {}
    by_provider = told.get("server_tool_use")
    if type(by_provider) is dict and _is_count(by_provider.get("web_search_requests")):
        return Usage(web_search=by_provider["web_search_requests"])
    if _is_count(told.get("num_search_queries")):
        return Usage(web_search=told["num_search_queries"])
    return Usage(web_search=int(_searches_always(model)))


def tool_calls_of(document: Mapping[str, Any], model: str) -> dict[str, int]:
    """How often the web may be searched for a request: once, where it asks for it at all."""
    is_searching = document.get("web_search_options") is not None or _searches_always(model)
    return {"web_search": 1} if is_searching else {}


def _searches_always(model: object) -> bool:
    return type(model) is str and _is_of_search(model)


@lru_cache(maxsize=1_024)
def _is_of_search(model: str) -> bool:
    return _SEARCHES_ALWAYS.search(model) is not None


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value <= COUNT_MAX
