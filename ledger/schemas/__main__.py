"""`python -m ledger.schemas` writes events.json anew, after an event was added or got a field."""

import json
from pathlib import Path

from ledger.codec import schemas


def text() -> str:
    """The content of events.json as this release's code has it."""
    return json.dumps(schemas(), indent=2) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name("events.json").write_text(text())
