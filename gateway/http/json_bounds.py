"""How much a JSON text may hold, found out before, or soon after, anything is built from it."""

from typing import Any

DEPTH_MAX = 64


def holds_more_values(text: bytes, values_max: int) -> bool:
    """Whether a text has more values than that: every scalar, array and object counts once, keys
    do not.

    Exact for well-formed JSON. What is not well-formed may pass: the decoder refuses it.
    """
    if len(text) <= values_max:
        return False
    if text.count(b",") + text.count(b"[") + text.count(b"{") < values_max:
        return False  # inside of strings they count here too
    unescaped = text.replace(rb"\\", b"..").replace(rb"\"", b"..")
    if unescaped.count(b'"') > 4 * values_max:  # at most a key and a string for each value
        return True
    skeleton = b'"'.join(unescaped.split(b'"')[::2]).translate(None, b" \t\r\n")
    opened = skeleton.count(b"{") + skeleton.count(b"[")
    empty = skeleton.count(b"{}") + skeleton.count(b"[]")
    return 1 + skeleton.count(b",") + opened - empty > values_max


def is_too_deep(text: bytes, document: object) -> bool:
    """Whether a document, and the text it is from, is nested more than DEPTH_MAX levels deep."""
    # Brackets inside of strings count here too, so this errs only towards the exact look.
    if text.count(b"{") + text.count(b"[") <= DEPTH_MAX:
        return False
    level: list[Any] = [document] if type(document) in (dict, list) else []
    for _ in range(DEPTH_MAX):
        level = [
            child
            for parent in level
            for child in (parent.values() if type(parent) is dict else parent)
            if type(child) is dict or type(child) is list
        ]
        if not level:
            return False
    return True
