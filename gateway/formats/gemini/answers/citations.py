"""The pages an answer is grounded on, and other vendors' citations as such pages.

Source: https://ai.google.dev/gemini-api/docs/google-search (`groundingMetadata`)
"""

from collections.abc import Iterable, Mapping
from typing import Any

from gateway.formats.gemini.vocabulary import member


def citations_of(candidate: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
    """The pages of a provider's candidate, each with its address."""
    grounding = member(candidate, "groundingMetadata")
    chunks = member(grounding, "groundingChunks") if type(grounding) is dict else None
    pages = [each.get("web") for each in chunks or () if type(each) is dict]
    return tuple(
        {"url": page["uri"], "title": page.get("title") or ""}
        for page in pages
        if type(page) is dict and type(page.get("uri")) is str
    )


def grounding_of(citations: Iterable[Any]) -> dict[str, Any]:
    """What a candidate says of its pages, each told once; empty where no citation has an address.

    Which words rest on which page is not said: other formats count characters, this one bytes of
    parts they do not know.
    """
    titles: dict[str, str] = {}
    for citation in citations:
        told = citation.get("url_citation") or citation if type(citation) is dict else {}
        if type(told) is dict and type(told.get("url")) is str:
            titles.setdefault(told["url"], str(told.get("title") or ""))
    if not titles:
        return {}
    chunks = [{"web": {"uri": url, "title": title}} for url, title in titles.items()]
    return {"groundingMetadata": {"groundingChunks": chunks}}
