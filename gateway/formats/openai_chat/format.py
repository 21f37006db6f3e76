"""OpenAI's chat completions as a `Format`."""

from collections.abc import Mapping, Sequence
from typing import Any

from gateway import openai_body, openai_envelope
from gateway.errors import GatewayError
from gateway.formats.contract import (
    Answer,
    ChatCall,
    CountTokens,
    Prompt,
    ServedModel,
    StreamReader,
)
from gateway.formats.openai_chat import (
    answer,
    as_stream,
    prompt,
    request,
    stream,
)
from gateway.formats.openai_chat.dialect import ChatDialect


class OpenAIChat:
    """`POST /v1/chat/completions` and its answers."""

    name = "openai_chat"
    forwarded_headers = ()
    dialect = ChatDialect()

    def read_request(self, document: dict[str, Any], body: bytes) -> ChatCall:
        """The call that `body`, parsed as `document`, asks for. Raises InvalidRequest."""
        return request.read_request(document, body)

    def prompt(self, call: ChatCall) -> Prompt:
        """What of the call is input, erring upwards."""
        return prompt.prompt(call)

    def provider_body(self, call: ChatCall, upstream_model: str, ask_usage: bool) -> bytes:
        """The client's bytes with the declared edits."""
        return openai_body.provider_body(call, upstream_model, ask_usage)

    def read_answer(self, body: bytes) -> Answer:
        """The answer that `body` is. Raises UnreadableAnswer."""
        return answer.read_answer(body)

    def stream(self, call: ChatCall, count_tokens: CountTokens) -> StreamReader:
        """A reader for the provider's stream that answers `call`."""
        return stream.ChatStreamReader(call, count_tokens)

    def as_stream(self, call: ChatCall, body: bytes) -> bytes:
        """A whole answer as the stream that was asked for, its end included."""
        return as_stream.as_stream(call, body)

    def told_models(self, models: Sequence[ServedModel]) -> dict[str, object]:
        """The list of models: https://platform.openai.com/docs/api-reference/models."""
        return {"object": "list", "data": [self.told_model(model) for model in models]}

    def told_model(self, model: ServedModel) -> dict[str, object]:
        """One model."""
        return {
            "id": model.id,
            "object": "model",
            "created": model.created_s,
            "owned_by": "tollgate",
        }

    def error_body(
        self, error: GatewayError, request_id: str
    ) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        """Status, headers and body of an error."""
        return openai_envelope.error_body(error, request_id)

    def stream_error(self, error: GatewayError) -> bytes:
        """The event that tells of an error inside a stream."""
        return openai_envelope.stream_error(error)

    def classify_failure(
        self, status: int, headers: Mapping[str, str], body: bytes
    ) -> GatewayError:
        """What a provider's status other than 200 means to our client."""
        return openai_envelope.classify_failure(status, headers, body)
