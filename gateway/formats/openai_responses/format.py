"""OpenAI's Responses as a `Format`."""

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.errors import GatewayError
from gateway.formats.contract import StreamReader
from gateway.formats.openai_responses.answers import answer, as_stream, stream
from gateway.formats.openai_responses.requests import prompt, provider_body, request
from gateway.formats.openai_responses.translation import ResponsesTranslation
from gateway.formats.shared.openai_envelope import ToldAsOpenAI
from gateway.formats.values import Answer, ChatCall, CountTokens, Prompt


class OpenAIResponses(ToldAsOpenAI):
    """`POST /v1/responses` and its answers."""

    name = "openai_responses"
    forwarded_headers = ()
    translation = ResponsesTranslation()

    def read_request(self, document: dict[str, Any], body: bytes) -> ChatCall:
        """The call that `body`, parsed as `document`, asks for. Raises InvalidRequest."""
        return request.read_request(document, body)

    def prompt(self, call: ChatCall) -> Prompt:
        """What of the call is input, erring upwards."""
        return prompt.prompt(call)

    def provider_body(self, call: ChatCall, upstream_model: str) -> bytes:
        """The client's bytes with the declared edits."""
        return provider_body.provider_body(call, upstream_model)

    def limit_members(self, call: ChatCall, tokens: int) -> Mapping[str, object]:  # noqa: ARG002 - of any call
        """The limit of output tokens, in this format's word."""
        return {"max_output_tokens": tokens}

    def read_answer(self, body: bytes) -> Answer:
        """The answer that `body` is. Raises UnreadableAnswer."""
        return answer.read_answer(body)

    def stream(self, call: ChatCall, count_tokens: CountTokens) -> StreamReader:  # noqa: ARG002 - one choice, always
        """A reader for the provider's stream."""
        return stream.ResponseStreamReader(count_tokens)

    def as_stream(self, call: ChatCall, body: bytes) -> bytes:
        """A whole answer as the stream that was asked for, its end included."""
        return as_stream.as_stream(call, body)

    def stream_error(self, error: GatewayError) -> bytes:
        """The event that tells of an error inside a stream.

        The SDKs raise for an `error` member; others read the event's own words.
        """
        words = {"code": error.code, "message": error.message, "param": error.param}
        told = {"type": "error", **words, "error": {"type": error.kind, **words}}
        return b"event: error\ndata: " + msgspec.json.encode(told) + b"\n\n"
