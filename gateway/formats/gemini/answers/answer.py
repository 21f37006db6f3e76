"""A whole GenerateContentResponse as a provider answers it."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from gateway.formats.contract import UnreadableAnswer
from gateway.formats.gemini.answers.usage import read_usage
from gateway.formats.gemini.errors import failure_in_answer
from gateway.formats.gemini.requests.contents import parts_of
from gateway.formats.gemini.tools import ToolCount
from gateway.formats.gemini.vocabulary import member
from gateway.formats.shared.service_tiers import service_of
from gateway.formats.values import Answer
from gateway.http.lenient_json import read_object


def read_answer(body: bytes) -> Answer:
    """The answer that `body` is. Raises UnreadableAnswer for what is none.

    A prompt that was blocked is answered without candidates, and told as it is.
    """
    document = read_object(body)
    error = document.get("error")
    candidates = document.get("candidates")
    if error is None and type(candidates) is not list and "promptFeedback" not in document:
        raise UnreadableAnswer("the answer has no candidates")
    told = member(document, "usageMetadata")
    usage, anomaly = read_usage(told)
    calls = ToolCount()
    for candidate in candidates or ():
        calls.add(candidate)
    return Answer(
        usage=usage,
        anomaly=anomaly,
        error=None if error is None else failure_in_answer(error),
        output_texts=tuple(text for each in candidates or () for text in generated_texts(each)),
        service=service_of(member(told, "serviceTier")) if type(told) is dict else None,
        tools=calls.tools(member(document, "modelVersion")),
    )


def generated_texts(candidate: Any) -> Iterator[str]:  # noqa: ANN401 - decoded JSON
    """What was generated in a candidate: words, thoughts and calls."""
    content = candidate.get("content") if type(candidate) is dict else None
    for part in parts_of(content):
        if type(part) is dict:
            yield from _spoken(part)


def _spoken(part: Mapping[str, Any]) -> Iterator[str]:
    if type(part.get("text")) is str and part["text"]:
        yield part["text"]
    for name in ("functionCall", "executableCode"):
        told = member(part, name)
        if told:
            yield msgspec.json.encode(told).decode()
