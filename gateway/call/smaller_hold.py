"""How much an answer may be, where an account cannot pay for as much as is usually held."""

from ledger.pricing import Price, worst_case_nanos
from ledger.streams.charge.rules import Reserve

OUTPUT_TOKENS_LEAST = 256
"""Less is no answer that anybody could use."""


def affordable_tokens(
    reserve: Reserve, price: Price, available_nanos: int, least_tokens: int
) -> int | None:
    """The output tokens that half of what is there pays for: the other half is for calls beside
    this one. At least `least_tokens`, where all of it pays for those; else None. Fewer than
    `reserve` holds for.
    """
    if worst_nanos(reserve, price, least_tokens) > available_nanos:
        return None
    fits, beyond = least_tokens, reserve.output_tokens_max
    while beyond - fits > 1:  # what is held grows with the tokens, by whatever steps of a tariff
        middle = (fits + beyond) // 2
        if worst_nanos(reserve, price, middle) <= available_nanos // 2:
            fits = middle
        else:
            beyond = middle
    return fits


def worst_nanos(reserve: Reserve, price: Price, output_tokens: int) -> int:
    """What the call can cost with so much of an answer."""
    return worst_case_nanos(
        price,
        reserve.terms.multiplier,
        input_tokens=reserve.input_tokens_estimated,
        output_tokens=output_tokens,
        tool_calls=reserve.tool_calls_max,
        service=reserve.terms.service,
    )
