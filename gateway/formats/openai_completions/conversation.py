"""A completions request as a conversation in no format, and a conversation as such a request."""

from typing import Any

from gateway.conversation.parts import Text
from gateway.conversation.request import AnswerTerms, Conversation, Message, Sampling, Written
from gateway.formats.openai_completions.request import prompts_of
from gateway.formats.openai_completions.vocabulary import NAME, inexpressible
from gateway.formats.values import ChatCall

_UNDERSTOOD = frozenset(
    {
        "best_of",
        "echo",
        "frequency_penalty",
        "logit_bias",
        "logprobs",
        "max_tokens",
        "model",
        "n",
        "presence_penalty",
        "prompt",
        "seed",
        "service_tier",
        "stop",
        "stream",
        "stream_options",
        "suffix",
        "temperature",
        "top_p",
        "user",
    }
)
_SERVICE_OF_TIER = {"default": "standard", "flex": "flex", "priority": "priority"}
_TIER_OF_SERVICE = {service: tier for tier, service in _SERVICE_OF_TIER.items()}


def conversation_of(call: ChatCall) -> Conversation:
    """What `call` asks for: the prompt is what a user says.

    Raises InvalidRequest, naming the parameter, for what only a provider of this format can do.
    """
    document = call.document
    logprobs = document.get("logprobs")
    return Conversation(
        format=NAME,
        messages=(Message(role="user", parts=(Text(text=_only_prompt(call)),)),),
        is_stream=call.stream,
        max_output_tokens=call.max_output_tokens,
        choices=document.get("n") or 1,
        sampling=Sampling(
            temperature=document.get("temperature"),
            top_p=document.get("top_p"),
            seed=document.get("seed"),
            frequency_penalty=document.get("frequency_penalty"),
            presence_penalty=document.get("presence_penalty"),
            stop=terms_of(call).stops,
            logit_bias=document.get("logit_bias"),
            wants_logprobs=logprobs is not None,
            top_logprobs=logprobs or None,
        ),
        service=_SERVICE_OF_TIER.get(document.get("service_tier") or "", ""),
        user=document.get("user") or "",
        foreign={
            name: value
            for name, value in document.items()
            if name not in _UNDERSTOOD and name not in call.stripped and value is not None
        },
    )


def terms_of(call: ChatCall) -> AnswerTerms:
    """What the answer has to keep to."""
    stop = call.document.get("stop")
    return AnswerTerms(stops=(stop,) if type(stop) is str else tuple(stop or ()))


def request_of(conversation: Conversation, upstream_model: str) -> Written:
    """The request as a provider of this format reads it.

    Raises InvalidRequest for everything but one text of a user's: a conversation is no prompt.
    """
    document: dict[str, Any] = {"model": upstream_model, "prompt": _one_text(conversation)}
    if conversation.tools:
        raise inexpressible("Tools", "tools")
    if conversation.output is not None and conversation.output.kind != "text":
        raise inexpressible("The form of the answer", "response_format")
    if conversation.is_stream:
        document |= {"stream": True, "stream_options": {"include_usage": True}}
    sampling = conversation.sampling
    members = {
        "max_tokens": conversation.max_output_tokens,
        "n": conversation.choices if conversation.choices > 1 else None,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "seed": sampling.seed,
        "frequency_penalty": sampling.frequency_penalty,
        "presence_penalty": sampling.presence_penalty,
        "stop": list(sampling.stop) or None,
        "logit_bias": sampling.logit_bias,
        "logprobs": (sampling.top_logprobs or 0) if sampling.wants_logprobs else None,
        "service_tier": _TIER_OF_SERVICE.get(conversation.service),
        "user": conversation.user or None,
    }
    document |= {name: value for name, value in members.items() if value is not None}
    if conversation.format == NAME:
        return Written(document=document | conversation.foreign)
    return Written(document=document, losses=tuple(_losses(conversation)))


def _only_prompt(call: ChatCall) -> str:
    document = call.document
    for name in ("echo", "suffix"):
        if document.get(name):
            raise inexpressible(f"'{name}'", name)
    if (document.get("best_of") or 0) > (document.get("n") or 1):
        raise inexpressible("'best_of' above 'n'", "best_of")
    if call.max_output_tokens == 0:
        raise inexpressible("'max_tokens' of 0", "max_tokens")
    prompts = prompts_of(document)
    if len(prompts) > 1:
        raise inexpressible("More than one prompt", "prompt")
    if not isinstance(prompts[0], str):
        raise inexpressible("A prompt given as tokens", "prompt")
    return prompts[0]


def _one_text(conversation: Conversation) -> str:
    messages = conversation.messages
    if len(messages) != 1 or messages[0].role != "user":
        raise inexpressible("A conversation", "messages")
    texts = [part.text for part in messages[0].parts if isinstance(part, Text)]
    if len(texts) != len(messages[0].parts):
        raise inexpressible("More than words", "messages")
    return "".join(texts)


def _losses(conversation: Conversation) -> list[str]:
    members = {
        "top_k": conversation.sampling.top_k,
        "reasoning": conversation.reasoning,
        "verbosity": conversation.verbosity,
        "metadata": conversation.metadata,
        "prompt_cache_key": conversation.prompt_cache_key,
        "store": conversation.is_stored or None,
    }
    lost = [name for name, value in members.items() if value not in (None, "")]
    if set(conversation.modalities) - {"text"}:
        lost.append("modalities")
    return lost + sorted(conversation.foreign)
