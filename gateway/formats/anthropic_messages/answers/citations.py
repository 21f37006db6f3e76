"""Citations of other vendors' searches in this format's words.

Source: https://docs.anthropic.com/en/docs/agents-and-tools/tool-use/web-search-tool#citations
"""

from typing import Any

from gateway.formats.anthropic_messages.vocabulary import NAME


def told_citation(citation: Any, citing: str, text: str) -> dict[str, Any] | None:  # noqa: ANN401 - decoded JSON
    """A citation as it is, or one with an address as the find of a search; None for any other.

    `text` is what cites; an index into it becomes the words themselves. There is no index into the
    search, which only this format's providers make: it is empty, and by that known when the
    client sends it back.
    """
    if citing == NAME:
        return dict(citation)
    told = citation.get("url_citation") if type(citation) is dict else None
    found = told if type(told) is dict else citation
    if type(found) is not dict or type(found.get("url")) is not str:
        return None
    start, end = found.get("start_index"), found.get("end_index")
    within = type(start) is int and type(end) is int and 0 <= start < end
    return {
        "type": "web_search_result_location",
        "url": found["url"],
        "title": found.get("title") or "",
        "cited_text": text[start:end] if within else "",
        "encrypted_index": "",
    }
