"""Compaction of a conversation: Responses asked to make what went before shorter.

Source: https://platform.openai.com/docs/api-reference/responses/compact. It is paid for like an
answer, is never streamed, and only a provider of this format can do it: what comes back is sealed.
"""

from typing import Any

from msgspec.structs import replace

from gateway.errors import InvalidRequest
from gateway.formats.openai_responses.answers import answer
from gateway.formats.openai_responses.format import OpenAIResponses
from gateway.formats.openai_responses.requests import request
from gateway.formats.values import Answer, ChatCall
from gateway.http.lenient_json import read_object

COMPACT = "compact"


class OpenAICompaction(OpenAIResponses):
    """`POST /v1/responses/compact`: the same words, another path at the provider."""

    def read_request(self, document: dict[str, Any], body: bytes) -> ChatCall:
        """The call that `body`, parsed as `document`, asks for. Raises InvalidRequest."""
        if document.get("stream"):
            raise InvalidRequest("A compaction is not streamed.", param="stream")
        return request.read_compaction(document, body, COMPACT)

    def read_answer(self, body: bytes) -> Answer:
        """The answer that `body` is. Raises UnreadableAnswer.

        It repeats what users said: that was not generated, nor is it kept under its id.
        """
        told = answer.read_answer(body)
        output = read_object(body).get("output")
        made = [item for item in _list(output) if item.get("role") != "user"]
        return replace(told, stored_id="", output_texts=tuple(answer.generated_texts(made)))


def _list(output: object) -> list[dict[str, Any]]:
    return [item for item in output if type(item) is dict] if isinstance(output, list) else []
