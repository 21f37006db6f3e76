"""What one call consumed, in classes that never overlap.

Disjoint on purpose: `input` excludes what was read from or written to a cache, audio and images;
`output` excludes reasoning, audio and images. A provider's own counts overlap in ways that differ
by provider; `gateway.formats` translates them, once, into these.
"""

from collections.abc import Iterator, Sequence

import msgspec


class Usage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Counts per class: tokens, except `calls` (the request itself, for prices per call) and the
    calls of a provider's own tools that are billed beside their tokens (TOOL_CLASSES).
    """

    input: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    audio_in: int = 0
    image_in: int = 0
    output: int = 0
    reasoning: int = 0
    audio_out: int = 0
    image_out: int = 0
    calls: int = 0
    web_search: int = 0
    file_search: int = 0
    code_execution: int = 0

    def __post_init__(self) -> None:
        counts = msgspec.structs.astuple(self)
        if not 0 <= min(counts) <= max(counts) <= COUNT_MAX:
            name, count = next(one for one in self.classes() if not 0 <= one[1] <= COUNT_MAX)
            raise ValueError(f"{name} must lie within 0..{COUNT_MAX}, not {count}")

    def classes(self) -> Iterator[tuple[str, int]]:
        """Every class with its count, in the order of the fields."""
        return zip(self.__struct_fields__, msgspec.structs.astuple(self), strict=True)


COUNT_MAX = 1_000_000_000_000
"""No call consumes a trillion of anything; a larger count is an anomaly of the provider's."""

CLASSES: tuple[str, ...] = Usage.__struct_fields__

TOOL_CLASSES = ("web_search", "file_search", "code_execution")
"""Calls of tools that the provider runs by itself, each counted as the provider bills it."""

TOKEN_CLASSES = tuple(kind for kind in CLASSES if kind not in ("calls", *TOOL_CLASSES))
"""Everything that is counted in tokens."""


def summed(usages: Sequence[Usage]) -> dict[str, int]:
    """What several calls consumed together, by class; without what none of them consumed."""
    sums = map(sum, zip(*map(msgspec.structs.astuple, usages), strict=True))
    return {name: count for name, count in zip(CLASSES, sums, strict=False) if count}
