"""Events of a stream, each an object of one member that names it.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/
API_runtime_ConverseStreamOutput.html; the binary frames are told like this by
`gateway.providers.shared.aws_events`.
"""

from typing import Any

from gateway.http.lenient_json import UnreadableAnswer, read_object


def read_event(data: bytes) -> tuple[str, dict[str, Any]]:
    """An event's name, and what it tells. Raises UnreadableAnswer."""
    document = read_object(data)
    if len(document) != 1:
        raise UnreadableAnswer("an event has one name")
    ((name, told),) = document.items()
    if type(told) is not dict:
        raise UnreadableAnswer("an event is not an object")
    return name, told


def is_exception(name: str) -> bool:
    """Whether an event breaks the stream off."""
    return name.endswith("Exception")
