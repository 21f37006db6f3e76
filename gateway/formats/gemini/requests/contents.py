"""The contents of a request as lists, however they were written."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from gateway.formats.gemini.vocabulary import member

# https://ai.google.dev/gemini-api/docs/file-input-methods: uploaded files, Cloud Storage, YouTube.
# What lies elsewhere is taken by some models of some kinds alone, so it is sent as bytes.
_OF_GOOGLE = re.compile(
    r"gs://|https://generativelanguage\.googleapis\.com/"
    r"|https://(?:www\.|m\.)?youtube\.com/|https://youtu\.be/",
    re.IGNORECASE,
)


def is_of_google(address: str) -> bool:
    """Whether every model reads what lies at an address by itself."""
    return _OF_GOOGLE.match(address) is not None


def contents_of(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every content in order; a bare text is one of the user's."""
    contents = document["contents"]
    if type(contents) is str:
        return [{"role": "user", "parts": [{"text": contents}]}]
    return [contents] if type(contents) is dict else contents


def parts_of(content: object) -> Iterator[dict[str, Any]]:
    """The parts of a content."""
    if type(content) is str:
        yield {"text": content}
    elif type(content) is dict:
        parts = content.get("parts") or ()
        yield from [parts] if type(parts) is dict else parts


def system_of(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The parts of the system's instruction."""
    return list(parts_of(member(document, "systemInstruction")))
