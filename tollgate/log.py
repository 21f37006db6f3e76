"""Log lines: one JSON object each on standard error, with nothing in them that opens a door."""

import contextlib
import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog

_MASK = "***"
_SECRET_NAMES = re.compile(
    r"(secret|password|passwd|token|api_?key|authorization|cookie|dsn|credential)$", re.IGNORECASE
)
_SECRET_TEXTS = (
    (re.compile(r"(://[^/\s:@]*:)[^/\s@]+(@)"), rf"\1{_MASK}\2"),
    (re.compile(r"(\bpassword\s*=\s*)('[^']*'|\S+)", re.IGNORECASE), rf"\1{_MASK}"),
    (re.compile(r"(\b[Bb]earer\s+)\S+"), rf"\1{_MASK}"),
    (re.compile(r"([?&](?:key|api_key|token)=)[^&\s]+", re.IGNORECASE), rf"\1{_MASK}"),
    (
        re.compile(r"\b((?:sk|tg|AIza|gsk|xai|pk|rk)[-_][A-Za-z]{0,6})[A-Za-z0-9_-]{12,}"),
        rf"\1{_MASK}",
    ),
)


def configure(**always: object) -> None:
    """Send the program's log to standard error; `always` stands in every line."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            _Always(always),
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            mask_secrets,
            structlog.processors.JSONRenderer(default=str),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=_StandardError,
        cache_logger_on_first_use=True,
    )
    # Libraries that use logging (uvicorn, asyncio) say the rare thing worth reading.
    logging.basicConfig(handlers=[_Forwarding()], level=logging.WARNING, force=True)


def mask_secrets(
    _logger: object, _method: str, line: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Replace what is named like a secret, and what looks like one inside of texts."""
    return {name: _masked(name, value) for name, value in line.items()}


def _masked(name: str, value: object) -> object:
    if _SECRET_NAMES.search(name):
        return _MASK
    if isinstance(value, Mapping):
        return {str(key): _masked(str(key), part) for key, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_masked(name, part) for part in value]
    if isinstance(value, bool | int | float | None):
        return value
    text = str(value)
    for pattern, replacement in _SECRET_TEXTS:
        text = pattern.sub(replacement, text)
    return text


class _Always:
    def __init__(self, fields: Mapping[str, object]) -> None:
        self._fields = fields

    def __call__(
        self, _logger: object, _method: str, line: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        return {**self._fields, **line}


class _StandardError:
    """Writes lines; a reader that went away is no reason to fail a call."""

    def __init__(self, *_names: object) -> None:
        pass

    def msg(self, line: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(line + "\n")
            sys.stderr.flush()

    log = debug = info = warn = warning = error = critical = fatal = exception = msg


class _Forwarding(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        line: dict[str, object] = {"logger": record.name}
        if record.exc_info:
            line["exc_info"] = record.exc_info
        structlog.get_logger().log(record.levelno, record.getMessage(), **line)
