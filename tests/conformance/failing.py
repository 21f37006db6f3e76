"""Providers of each format that fail as the name of the model says."""

import json
import re
from dataclasses import dataclass
from itertools import islice
from typing import Any

from tests.fake_provider import FakeProvider, Script, event_chunk, opened, whole
from tests.obedient.contract import Figures, Said
from tests.obedient.provider import FORMATS

KEY = "sk-provider-0123456789abcdef"
LEAK = f"odd: {KEY} at http://10.0.0.1:8000/v1"
"""What no client may learn of."""
SECRETS = (KEY, "10.0.0.1")

HTML = b"<html><body>Bad gateway at 10.0.0.1</body></html>"
SAID = Said(1, "", "a fine answer", (), Figures(fresh=9, cached=0, made=4, thought=0))

STATUSES = (400, 401, 404, 429, 500, 529)
WHOLE = (*map(str, STATUSES), "html-page", "html-200", "empty-200")
STREAMED = ("error-inside", "cut-inside")

_OVERLOADED = {"type": "overloaded_error", "message": LEAK}
_ERROR_EVENTS: dict[str, dict[str, Any]] = {
    "openai_chat": {"error": {"message": LEAK, "type": "server_error", "code": 502}},
    "openai_responses": {"type": "response.failed", "response": {"error": {"message": LEAK}}},
    "anthropic_messages": {"type": "error", "error": _OVERLOADED},
    "gemini": {"error": {"code": 503, "message": LEAK, "status": "UNAVAILABLE"}},
}


@dataclass
class FailingProvider(FakeProvider):
    """The first part of a path names the format, the model names what goes wrong."""

    def named(self, path: str, body: bytes) -> Script:
        format_name = path.split("/")[1]
        in_path = re.search(r"/models/([^:]+):", path)
        failure = in_path[1] if in_path else json.loads(body)["model"]
        if failure in STREAMED:
            return _streamed(format_name, failure)
        if failure == "html-page":
            return whole(HTML, status=502, headers={"content-type": "text/html"})
        if failure == "html-200":
            return whole(HTML, headers={"content-type": "text/html"})
        if failure == "empty-200":
            return whole(b"")
        status = int(failure)
        return whole(FORMATS[format_name].failure(status, LEAK), status=status)


def _streamed(format_name: str, failure: str) -> Script:
    events = list(islice(FORMATS[format_name].events(SAID), 2))
    told = _ERROR_EVENTS[format_name]
    name = f"event: {told['type']}\n" if "type" in told else ""
    last = f"{name}data: {json.dumps(told)}\n\n".encode()
    if failure == "cut-inside":
        last = last[: len(last) // 2]
    return (opened(), *map(event_chunk, (*events, last)), b"0\r\n\r\n")
