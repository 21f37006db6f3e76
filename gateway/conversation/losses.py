"""What the other formats have no words for, where several of them lack the same."""

from gateway.conversation.parts import Media, PlainDocument
from gateway.conversation.request import WebSearch


def of_document(part: Media | PlainDocument) -> list[str]:
    """What is lost of a document that is told as nothing but its content."""
    members = {"document.context": bool(part.context), "document.citations": part.wants_citations}
    return [name for name, is_set in members.items() if is_set]


def of_search(search: WebSearch, *kept: str) -> list[str]:
    """What is lost of how a search was narrowed, where a format keeps only some of it."""
    plain = WebSearch()
    narrowed = [
        name
        for name in search.__struct_fields__
        if name not in kept and getattr(search, name) != getattr(plain, name)
    ]
    return ["tools.web_search.settings"] if narrowed else []
