"""What a channel changes in a completions request: its prompt goes before the client's."""

from collections.abc import Mapping
from typing import Any


def lead(document: Mapping[str, Any], words: str) -> dict[str, Any]:
    """The words before every prompt. None where that cannot be: a prompt of tokens has no words,
    and one that is echoed would tell the client the channel's own.
    """
    prompt = document["prompt"]
    if document.get("echo"):
        return {}
    if isinstance(prompt, str):
        return {"prompt": f"{words}\n\n{prompt}"}
    if isinstance(prompt[0], str):
        return {"prompt": [f"{words}\n\n{one}" for one in prompt]}
    return {}
