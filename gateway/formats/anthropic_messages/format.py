"""Anthropic's Messages as a `Format`."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from gateway.errors import GatewayError
from gateway.formats.anthropic_messages import errors
from gateway.formats.anthropic_messages.answers import answer, as_stream, stream
from gateway.formats.anthropic_messages.requests import prompt, request
from gateway.formats.anthropic_messages.signing import without_strangers
from gateway.formats.anthropic_messages.translation import MessagesTranslation
from gateway.formats.contract import StreamReader
from gateway.formats.shared.vendors.accepted import accepted
from gateway.formats.values import Answer, ChatCall, CountTokens, Prompt, ServedModel
from gateway.http.raw_members import edited


class AnthropicMessages:
    """`POST /v1/messages` and its answers."""

    name = "anthropic_messages"
    forwarded_headers = ("anthropic-version", "anthropic-beta")
    translation = MessagesTranslation()

    def read_request(self, document: dict[str, Any], body: bytes) -> ChatCall:
        """The call that `body`, parsed as `document`, asks for. Raises InvalidRequest."""
        return request.read_request(document, body)

    def prompt(self, call: ChatCall) -> Prompt:
        """What of the call is input, erring upwards."""
        return prompt.prompt(call)

    def provider_body(self, call: ChatCall, upstream_model: str) -> bytes:
        """The client's bytes, with the provider's name for the model, and without the thoughts
        that other vendors' models had earlier in the conversation, unless it wants their words.
        """
        takes = accepted("", self.name, upstream_model)
        body = without_strangers(call.body, keeps_words=takes.wants_thoughts)
        return body if upstream_model == call.model else edited(body, {"model": upstream_model})

    def limit_members(self, call: ChatCall, tokens: int) -> Mapping[str, object]:  # noqa: ARG002 - of any call
        """The limit of output tokens, in this format's word."""
        return {"max_tokens": tokens}

    def read_answer(self, body: bytes) -> Answer:
        """The answer that `body` is. Raises UnreadableAnswer."""
        return answer.read_answer(body)

    def stream(self, call: ChatCall, count_tokens: CountTokens) -> StreamReader:  # noqa: ARG002 - one choice, always
        """A reader for the provider's stream."""
        return stream.MessageStreamReader(count_tokens)

    def as_stream(self, call: ChatCall, body: bytes) -> bytes:  # noqa: ARG002 - told as it is
        """A whole answer as the stream that was asked for, its end included."""
        return as_stream.as_stream(body)

    def told_models(self, models: Sequence[ServedModel]) -> dict[str, object]:
        """The list of models, always whole: https://docs.anthropic.com/en/api/models-list."""
        return {
            "data": [self.told_model(model) for model in models],
            "has_more": False,
            "first_id": models[0].id if models else None,
            "last_id": models[-1].id if models else None,
        }

    def told_model(self, model: ServedModel) -> dict[str, object]:
        """One model."""
        created_at = datetime.fromtimestamp(model.created_s, UTC).isoformat()
        return {
            "type": "model",
            "id": model.id,
            "display_name": model.id,
            "created_at": created_at.replace("+00:00", "Z"),
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
