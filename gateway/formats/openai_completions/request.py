"""A legacy completions request, checked where it matters for routing, money and memory.

Source: https://platform.openai.com/docs/api-reference/completions/create. Several prompts are
several completions: each is answered `n` times, and generated `best_of` times.
"""

from typing import Any

from gateway.errors import InvalidRequest
from gateway.formats.shared.parameters import array, boolean, integer, mapping, number, refuse, text
from gateway.formats.shared.service_tiers import service_of
from gateway.formats.values import ChatCall
from ledger.pricing import STANDARD

OUTPUT_TOKENS_MAX = 10_000_000
MODEL_MAX_BYTES = 256
PROMPTS_MAX, PROMPT_TOKENS_MAX, TOKEN_MAX = 2_048, 150_000, 2**31 - 1
CHOICES_MAX, BEST_OF_MAX = 128, 20
STOPS_MAX, STOP_MAX_BYTES = 16, 4_096
LOGIT_BIAS_MAX = 1_024
LABEL_MAX_BYTES = 1_024
TEXT_MAX_BYTES = 1 << 40
"""Texts are bounded by the body's limit alone."""

STRIPPED_FIELDS = frozenset(
    {"api_base", "api_key", "base_url", "custom_llm_provider", "extra_headers"}
)
"""By these some gateways let a request say where it goes; never forwarded."""

Prompts = list[str] | list[list[int]]

_NUMBERS = (
    ("temperature", 0, 2),
    ("top_p", 0, 1),
    ("presence_penalty", -2, 2),
    ("frequency_penalty", -2, 2),
)


def read_request(document: dict[str, Any], body: bytes) -> ChatCall:
    """The call that `document` asks for. Raises InvalidRequest, naming the parameter."""
    model = text(
        document.get("model"), "model", least_bytes=1, most_bytes=MODEL_MAX_BYTES, plain=True
    )
    if model is None:
        refuse("model", "given")
    _check_prompt(document.get("prompt"))
    stream = boolean(document.get("stream"), "stream") or False
    wants_usage = _wants_usage(document, stream)
    choices = integer(document.get("n"), "n", least=1, most=CHOICES_MAX) or 1
    best_of = integer(document.get("best_of"), "best_of", least=0, most=BEST_OF_MAX) or 0
    _check_options(document)
    _check_together(document, stream=stream, is_chosen=best_of > choices)
    return ChatCall(
        model=model,
        stream=stream,
        max_output_tokens=integer(
            document.get("max_tokens"), "max_tokens", least=0, most=OUTPUT_TOKENS_MAX
        ),
        choices=max(choices, best_of) * len(prompts_of(document)),
        wants_usage=wants_usage,
        document=document,
        body=body,
        service=service_of(document.get("service_tier")) or STANDARD,
        stripped=tuple(sorted(STRIPPED_FIELDS.intersection(document))),
    )


def prompts_of(document: dict[str, Any]) -> Prompts:
    """Every prompt of a request that was checked: as texts, or each as its tokens."""
    prompt = document["prompt"]
    if type(prompt) is str:
        return [prompt]
    if type(prompt[0]) is int:
        return [prompt]
    found: Prompts = prompt
    return found


def choices_told(document: dict[str, Any]) -> int:
    """How many choices the answer has: `n` for each prompt."""
    return (document.get("n") or 1) * len(prompts_of(document))


def _check_prompt(prompt: object) -> None:
    if type(prompt) is str:
        return
    given = array(prompt, "prompt", least=1, most=PROMPT_TOKENS_MAX)
    if given is None:
        refuse("prompt", "given")
    if type(given[0]) is int:
        _check_tokens(given, "prompt")
        return
    if len(given) > PROMPTS_MAX:
        refuse("prompt", f"at most {PROMPTS_MAX} prompts")
    are_texts = type(given[0]) is str
    for position, one in enumerate(given):
        param = f"prompt[{position}]"
        if not are_texts:
            _check_tokens(array(one, param, least=1, most=PROMPT_TOKENS_MAX), param)
        elif text(one, param, most_bytes=TEXT_MAX_BYTES) is None:
            refuse(param, "a string")


def _check_tokens(tokens: list[Any] | None, param: str) -> None:
    if tokens is None:
        refuse(param, "a list of tokens")
    for token in tokens:
        if type(token) is not int or not 0 <= token <= TOKEN_MAX:
            refuse(param, f"a list of tokens from 0 to {TOKEN_MAX}")


def _wants_usage(document: dict[str, Any], stream: bool) -> bool:
    options = mapping(document.get("stream_options"), "stream_options", most=16)
    if options is None:
        return False
    if not stream:
        raise InvalidRequest(
            "'stream_options' is only allowed when 'stream' is true.", param="stream_options"
        )
    return boolean(options.get("include_usage"), "stream_options.include_usage") or False


def _check_options(document: dict[str, Any]) -> None:
    for name, least, most in _NUMBERS:
        number(document.get(name), name, least=least, most=most)
    integer(document.get("logprobs"), "logprobs", least=0, most=20)
    integer(document.get("seed"), "seed", least=-(2**63), most=2**63 - 1)
    boolean(document.get("echo"), "echo")
    text(document.get("suffix"), "suffix", most_bytes=TEXT_MAX_BYTES)
    for name in ("user", "service_tier"):
        text(document.get(name), name, most_bytes=LABEL_MAX_BYTES, plain=True)
    _check_stop(document.get("stop"))
    biases = mapping(document.get("logit_bias"), "logit_bias", most=LOGIT_BIAS_MAX)
    for bias in (biases or {}).values():
        if number(bias, "logit_bias", least=-100, most=100) is None:
            refuse("logit_bias", "an object of numbers")


def _check_stop(stop: object) -> None:
    if stop is None:
        return
    if type(stop) is str:
        text(stop, "stop", least_bytes=1, most_bytes=STOP_MAX_BYTES)
        return
    for position, one in enumerate(array(stop, "stop", most=STOPS_MAX) or []):
        param = f"stop[{position}]"
        if text(one, param, least_bytes=1, most_bytes=STOP_MAX_BYTES) is None:
            refuse(param, "a string")


def _check_together(document: dict[str, Any], *, stream: bool, is_chosen: bool) -> None:
    if stream and is_chosen:
        raise InvalidRequest(
            "'best_of' above 'n' cannot be streamed: the best is known at the end.",
            param="best_of",
        )
    has_tokens = type(prompts_of(document)[0]) is not str
    if stream and document.get("echo") and has_tokens:
        raise InvalidRequest(
            "'echo' of a prompt given as tokens cannot be streamed here: give it as text.",
            param="echo",
            code="unsupported_parameter",
        )
