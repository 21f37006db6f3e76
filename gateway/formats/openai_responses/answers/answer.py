"""A whole response as a provider answers it."""

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.errors import GatewayError
from gateway.formats.contract import UnreadableAnswer
from gateway.formats.openai_responses.answers.usage import read_usage
from gateway.formats.openai_responses.tools import counted, ids_of, items_of
from gateway.formats.shared.openai_envelope import failure_in_answer
from gateway.formats.shared.service_tiers import service_of
from gateway.formats.values import Answer
from gateway.http.lenient_json import read_object

_SPOKEN = ("text", "refusal", "arguments", "input", "code", "name")


def read_answer(body: bytes) -> Answer:
    """The answer that `body` is. Raises UnreadableAnswer for what is none.

    A response that is incomplete is an answer, and billed; one that failed is an error.
    """
    document = read_object(body)
    error = failure_of(document)
    output = document.get("output")
    if error is None and type(output) is not list:
        raise UnreadableAnswer("the answer has no output")
    usage, anomaly = read_usage(document.get("usage"))
    items = items_of(output)
    return Answer(
        usage=usage,
        anomaly=anomaly,
        error=error,
        output_texts=tuple(generated_texts(output)),
        service=service_of(document.get("service_tier")),
        stored_id=kept_id_of(document),
        stored_items=ids_of(items),
        tools=counted(items),
    )


def kept_id_of(response: Mapping[str, Any]) -> str:
    """The id under which the provider keeps a response; empty where it says that it does not."""
    told = response.get("id")
    return told if type(told) is str and response.get("store") is not False else ""


def failure_of(response: Mapping[str, Any]) -> GatewayError | None:
    """What went wrong with a response, None if nothing did."""
    error = response.get("error")
    if error or response.get("status") == "failed":
        return failure_in_answer(error or "the response failed")
    return None


def generated_texts(output: object) -> Iterator[str]:
    """Everything the model wrote: words, thoughts told, arguments and code."""
    for item in output if type(output) is list else ():
        if type(item) is not dict:
            continue
        for holder in (item, *_parts(item, "content"), *_parts(item, "summary")):
            yield from (
                holder[name] for name in _SPOKEN if type(holder.get(name)) is str and holder[name]
            )


def _parts(item: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    parts = item.get(name)
    return [part for part in parts if type(part) is dict] if type(parts) is list else []
