"""Bedrock's Converse as a `ProviderFormat`.

Source: https://docs.aws.amazon.com/bedrock/latest/userguide/conversation-inference.html
"""

from collections.abc import Mapping

from gateway.errors import GatewayError
from gateway.formats.bedrock_converse import errors
from gateway.formats.bedrock_converse.answers import answer, stream
from gateway.formats.bedrock_converse.translation import ConverseTranslation
from gateway.formats.contract import StreamReader
from gateway.formats.values import Answer, ChatCall, CountTokens


class BedrockConverse:
    """`POST /model/{model}/converse` and `/converse-stream`."""

    name = "bedrock_converse"
    translation = ConverseTranslation()

    def read_answer(self, body: bytes) -> Answer:
        """The answer that `body` is. Raises UnreadableAnswer."""
        return answer.read_answer(body)

    def stream(self, call: ChatCall, count_tokens: CountTokens) -> StreamReader:  # noqa: ARG002 - one choice, always
        """A reader for the provider's stream, told as server-sent events."""
        return stream.ConverseStreamReader(count_tokens)

    def classify_failure(
        self, status: int, headers: Mapping[str, str], body: bytes
    ) -> GatewayError:
        """What a provider's status other than 200 means to our client."""
        return errors.classify_failure(status, headers, body)
