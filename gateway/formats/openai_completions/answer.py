"""A whole completion: as a provider answers it, as a turn in no format, as the client reads it."""

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.conversation.ends import word_for
from gateway.conversation.parts import Refusal, Text
from gateway.conversation.turn import Choice, Turn
from gateway.formats.contract import UnreadableAnswer
from gateway.formats.openai_completions.vocabulary import (
    ENDS,
    FINISH_OF_STOP,
    NAME,
    completion_id,
    logprobs_of,
)
from gateway.formats.shared.openai_envelope import failure_in_answer
from gateway.formats.shared.openai_usage import read_usage, write_usage
from gateway.formats.shared.service_tiers import service_of
from gateway.formats.shared.usage_places import usage_in
from gateway.formats.values import Answer, ChatCall
from gateway.http.lenient_json import read_object
from ledger import clock
from ledger.usage import Usage


def read_answer(body: bytes) -> Answer:
    """The answer that `body` is. Raises UnreadableAnswer for what is none.

    A prompt that was echoed is among the output's texts: it counts where no usage is told.
    """
    document = read_object(body)
    error = document.get("error") or (document if document.get("object") == "error" else None)
    choices = document.get("choices")
    if error is None and type(choices) is not list:
        raise UnreadableAnswer("the answer has no choices")
    usage, anomaly = read_usage(usage_in(document))
    return Answer(
        usage=usage,
        anomaly=anomaly,
        error=None if error is None else failure_in_answer(error),
        output_texts=tuple(text_of(choice) for choice in choices or () if text_of(choice)),
        service=service_of(document.get("service_tier")),
    )


def text_of(choice: object) -> str:
    """The text of a choice or of a piece of it, whatever a provider made of it."""
    text = choice.get("text") if isinstance(choice, Mapping) else None
    return text if type(text) is str else ""


def turn_of(document: Mapping[str, Any]) -> Turn:
    """What a provider answered. Raises UnreadableAnswer."""
    choices = document.get("choices")
    if type(choices) is not list or not choices:
        raise UnreadableAnswer("the answer has no choices")
    created = document.get("created")
    return Turn(
        format=NAME,
        id=str(document.get("id") or ""),
        model=str(document.get("model") or ""),
        created_s=created if type(created) is int else 0,
        service=document.get("service_tier") or "",
        choices=tuple(_choice(choice) for choice in choices),
    )


def _choice(told: Mapping[str, Any]) -> Choice:
    text = text_of(told)
    stop, word = ENDS.read(told.get("finish_reason"), has_calls=False)
    parts = (Text(text=text),) if text else ()
    return Choice(parts=parts, stop=stop, stop_word=word, logprobs=told.get("logprobs"))


def answer_of(call: ChatCall, turn: Turn, usage: Usage) -> bytes:
    """The completion as the client reads it, under the model's name that it asked for.

    Thoughts and calls of tools have no words here; nobody who asks here has asked for them.
    """
    document = {
        "id": completion_id(turn.id),
        "object": "text_completion",
        "created": turn.created_s or now_s(),
        "model": call.model,
        "choices": [
            {
                "text": words_of(choice),
                "index": index,
                "logprobs": _logprobs(turn.format, choice),
                "finish_reason": word_for(FINISH_OF_STOP, choice.stop, choice.stop_word),
            }
            for index, choice in enumerate(turn.choices)
        ],
        "usage": write_usage(usage),
    }
    return msgspec.json.encode(document)


def words_of(choice: Choice) -> str:
    """The words of a choice; those of a refusal are words as well."""
    return "".join(part.text for part in choice.parts if isinstance(part, Text | Refusal))


def now_s() -> int:
    """Our own clock, for providers that tell no time."""
    return clock.now_us() // 1_000_000


def _logprobs(format_name: str, choice: Choice) -> Any:  # noqa: ANN401 - JSON
    return choice.logprobs if format_name == NAME else logprobs_of(choice.logprobs, 0)
