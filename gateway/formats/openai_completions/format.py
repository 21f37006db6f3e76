"""OpenAI's legacy completions as a `Format`."""

from collections.abc import Mapping
from typing import Any

from gateway.formats.contract import StreamReader
from gateway.formats.openai_completions import (
    answer,
    as_stream,
    prompt,
    request,
    stream,
)
from gateway.formats.openai_completions.translation import CompletionsTranslation
from gateway.formats.shared import openai_body
from gateway.formats.shared.openai_envelope import ToldAsOpenAI
from gateway.formats.values import Answer, ChatCall, CountTokens, Prompt


class OpenAICompletions(ToldAsOpenAI):
    """`POST /v1/completions` and its answers."""

    name = "openai_completions"
    forwarded_headers = ()
    translation = CompletionsTranslation()

    def read_request(self, document: dict[str, Any], body: bytes) -> ChatCall:
        """The call that `body`, parsed as `document`, asks for. Raises InvalidRequest."""
        return request.read_request(document, body)

    def prompt(self, call: ChatCall) -> Prompt:
        """What of the call is input, erring upwards."""
        return prompt.prompt(call)

    def provider_body(self, call: ChatCall, upstream_model: str) -> bytes:
        """The client's bytes with the declared edits."""
        return openai_body.provider_body(call, upstream_model)

    def limit_members(self, call: ChatCall, tokens: int) -> Mapping[str, object]:  # noqa: ARG002 - of any call
        """The limit of output tokens, in this format's word."""
        return {"max_tokens": tokens}

    def read_answer(self, body: bytes) -> Answer:
        """The answer that `body` is. Raises UnreadableAnswer."""
        return answer.read_answer(body)

    def stream(self, call: ChatCall, count_tokens: CountTokens) -> StreamReader:
        """A reader for the provider's stream that answers `call`."""
        return stream.CompletionStreamReader(call, count_tokens)

    def as_stream(self, call: ChatCall, body: bytes) -> bytes:
        """A whole answer as the stream that was asked for, its end included."""
        return as_stream.as_stream(call, body)
