"""Bytes of Gemini's clients are bytes to every other vendor."""

import base64
import json

from gateway.formats.gemini.format import Gemini
from gateway.formats.openai_chat.format import OpenAIChat

BYTES = bytes(range(256))


def test_both_alphabets_of_base64_are_the_same_bytes() -> None:
    for encoded in (base64.b64encode(BYTES), base64.urlsafe_b64encode(BYTES)):
        part = {"inlineData": {"mimeType": "image/png", "data": encoded.decode()}}
        document = {"contents": [{"role": "user", "parts": [part]}]}
        call = Gemini().read_request(document, json.dumps(document).encode())
        conversation = Gemini().translation.conversation(call)
        (message,) = OpenAIChat().translation.request(conversation, "m").document["messages"]
        url = message["content"][0]["image_url"]["url"]
        assert base64.b64decode(url.partition(",")[2], validate=True) == BYTES
