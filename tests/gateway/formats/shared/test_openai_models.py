"""What OpenAI's thinking models refuse is not sent to them, and told."""

import pytest

from gateway.conversation.parts import Text
from gateway.conversation.request import Conversation, Message, Reasoning, Sampling
from gateway.formats.registry import FORMATS
from gateway.formats.shared.openai_models import takes_completion_limit, takes_effort

DRAWN = Sampling(temperature=0.2, top_p=0.9, wants_logprobs=True, top_logprobs=2, top_k=3)


def asked(sampling: Sampling, reasoning: Reasoning | None = None) -> Conversation:
    message = Message(role="user", parts=(Text(text="x"),))
    return Conversation(
        format="anthropic_messages", messages=(message,), sampling=sampling, reasoning=reasoning
    )


@pytest.mark.parametrize("format_name", ["openai_chat", "openai_responses"])
@pytest.mark.parametrize("model", ["o3", "gpt-5.6", "openai/gpt-5-mini", "o4-mini"])
def test_a_thinking_model_draws_by_itself(format_name: str, model: str) -> None:
    written = FORMATS[format_name].translation.request(asked(DRAWN), model)
    refused = {"temperature", "top_p", "logprobs", "top_logprobs"}
    assert not refused & set(written.document)
    assert refused | {"top_k"} <= set(written.losses)


@pytest.mark.parametrize("format_name", ["openai_chat", "openai_responses"])
@pytest.mark.parametrize(
    ("model", "reasoning"),
    [("gpt-4o", None), ("gpt-5.6", Reasoning(effort="none")), ("gpt-5-chat-latest", None)],
)
def test_any_other_draws_as_the_client_says(
    format_name: str, model: str, reasoning: Reasoning | None
) -> None:
    written = FORMATS[format_name].translation.request(asked(DRAWN, reasoning), model)
    assert (written.document["temperature"], written.document["top_p"]) == (0.2, 0.9)
    assert "temperature" not in written.losses


@pytest.mark.parametrize("format_name", ["openai_chat", "openai_responses"])
def test_what_it_does_anyway_is_no_loss(format_name: str) -> None:
    written = FORMATS[format_name].translation.request(
        asked(Sampling(temperature=1, top_p=1)), "gpt-5"
    )
    assert written.losses == ()


def test_names_tell_what_is_taken() -> None:
    assert takes_effort("google/gemini-3-pro")
    assert not takes_effort("gpt-4o")
    assert takes_completion_limit("openai/o1-mini")
    assert not takes_completion_limit("llama-3")
