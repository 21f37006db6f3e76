"""The recorded provider exchanges in `tests/recordings`, by format."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "recordings"


@dataclass(frozen=True, slots=True)
class Recording:
    """One exchange; `usage` is the provider's, flattened to dotted names."""

    name: str
    status: int
    request: str
    response: bytes
    usage: dict[str, Any]
    is_stream: bool

    @property
    def document(self) -> dict[str, Any]:
        loaded = json.loads(self.request)
        assert isinstance(loaded, dict)
        return loaded


def recordings(prefix: str = "") -> list[Recording]:
    """Every exchange whose file name begins with `prefix`."""
    found = [_load(path) for path in sorted(FOLDER.glob(f"{prefix}*.json"))]
    assert found, f"no recordings begin with {prefix!r}"
    return found


def _load(path: Path) -> Recording:
    told = json.loads(path.read_text())
    return Recording(
        name=path.stem,
        status=told["status"],
        request=told["request"],
        response=told["response"].encode(),
        usage=told["usage"],
        is_stream="event-stream" in (told["content_type"] or ""),
    )
