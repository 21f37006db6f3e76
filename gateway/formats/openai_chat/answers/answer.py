"""A whole chat completion as a provider answers it."""

from gateway.formats.contract import UnreadableAnswer
from gateway.formats.openai_chat.answers.generated import generated_texts
from gateway.formats.openai_chat.tools import tools_in
from gateway.formats.shared.openai_envelope import failure_in_answer
from gateway.formats.shared.openai_usage import read_usage
from gateway.formats.shared.service_tiers import service_of
from gateway.formats.shared.usage_places import usage_in
from gateway.formats.values import Answer
from gateway.http.lenient_json import read_object


def read_answer(body: bytes) -> Answer:
    """The answer that `body` is. Raises UnreadableAnswer for what is none."""
    document = read_object(body)
    error = document.get("error") or (document if document.get("object") == "error" else None)
    choices = document.get("choices")
    if error is None and type(choices) is not list:
        raise UnreadableAnswer("the answer has no choices")
    told_usage = usage_in(document)
    usage, anomaly = read_usage(told_usage)
    return Answer(
        usage=usage,
        anomaly=anomaly,
        error=None if error is None else failure_in_answer(error),
        output_texts=_output_texts(choices),
        service=service_of(document.get("service_tier")),
        tools=tools_in(document.get("model"), told_usage),
    )


def _output_texts(choices: object) -> tuple[str, ...]:
    if type(choices) is not list:
        return ()
    return tuple(
        text
        for choice in choices
        if type(choice) is dict
        for text in generated_texts(choice.get("message"))
    )
