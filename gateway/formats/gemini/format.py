"""Gemini's generateContent as a `Format`."""

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.errors import GatewayError
from gateway.formats.contract import StreamReader
from gateway.formats.gemini import errors
from gateway.formats.gemini.answers import answer, stream
from gateway.formats.gemini.requests import prompt, request
from gateway.formats.gemini.translation import GeminiTranslation
from gateway.formats.values import Answer, ChatCall, CountTokens, Prompt, ServedModel

_SETTINGS = "generationConfig"


class Gemini:
    """`POST /v1beta/models/{model}:generateContent` and `:streamGenerateContent`."""

    name = "gemini"
    forwarded_headers = ()
    translation = GeminiTranslation()

    def read_request(self, document: dict[str, Any], body: bytes) -> ChatCall:
        """The call that `body`, parsed as `document`, asks for; its model is in the path.

        Raises InvalidRequest.
        """
        return request.read_request(document, body)

    def prompt(self, call: ChatCall) -> Prompt:
        """What of the call is input, erring upwards."""
        return prompt.prompt(call)

    def provider_body(self, call: ChatCall, upstream_model: str) -> bytes:  # noqa: ARG002 - the model is in the path, usage always told
        """The client's bytes."""
        return call.body

    def limit_members(self, call: ChatCall, tokens: int) -> Mapping[str, object]:
        """The limit of output tokens, in this format's word."""
        spelled = "generation_config" if "generation_config" in call.document else _SETTINGS
        return {spelled: {**(call.document.get(spelled) or {}), "maxOutputTokens": tokens}}

    def read_answer(self, body: bytes) -> Answer:
        """The answer that `body` is. Raises UnreadableAnswer."""
        return answer.read_answer(body)

    def stream(self, call: ChatCall, count_tokens: CountTokens) -> StreamReader:
        """A reader for the provider's stream that answers `call`."""
        return stream.ContentStreamReader(call, count_tokens)

    def as_stream(self, call: ChatCall, body: bytes) -> bytes:  # noqa: ARG002 - one event, whoever asked
        """A whole answer as a stream: one event."""
        return b"data: " + b" ".join(body.split(b"\n")) + b"\n\n"

    def told_models(self, models: Sequence[ServedModel]) -> dict[str, object]:
        """The list of models: https://ai.google.dev/api/models."""
        return {"models": [self.told_model(model) for model in models]}

    def told_model(self, model: ServedModel) -> dict[str, object]:
        """One model."""
        return {
            "name": f"models/{model.id}",
            "version": model.id,
            "displayName": model.id,
            "supportedGenerationMethods": ["generateContent", "countTokens"],
        }

    def error_body(
        self, error: GatewayError, request_id: str
    ) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        """Status, headers and body of an error."""
        return errors.error_body(error, request_id)

    def stream_error(self, error: GatewayError) -> bytes:
        """The event that tells of an error inside a stream."""
        return errors.stream_error(error)

    def classify_failure(
        self, status: int, headers: Mapping[str, str], body: bytes
    ) -> GatewayError:
        """What a provider's status other than 200 means to our client."""
        return errors.classify_failure(status, headers, body)
