"""The first line of claude-code's system prompt: Anthropic's own, another one with every call.

It ends every cache of a prompt where it begins, so no other vendor is told.
Source: https://github.com/anthropics/claude-code/issues/68900
"""

NAME = "x-anthropic-billing-header"


def without_billing_line(text: str) -> str:
    """A text without the line, if it begins with it.

    >>> without_billing_line("x-anthropic-billing-header: cch=1;\\nYou are")
    'You are'
    """
    return text.partition("\n")[2] if text.startswith(f"{NAME}:") else text
