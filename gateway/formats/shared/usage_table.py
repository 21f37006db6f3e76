"""How a vendor tells what was used, as data: a row for each of its counters.

A vendor has two wholes, what it read and what it wrote. Some of its other counters lie within one
of them (cached tokens in OpenAI's words), others beside them (in Anthropic's). What is left of a
whole once its parts are taken off is plain `input` or `output`.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import msgspec

Whole = Literal["input", "output"]

CACHED_ABOVE_PROMPT = "cached_above_prompt"
CACHE_BESIDE_PROMPT = "cache_beside_prompt"
IMPLAUSIBLE = "usage_implausible"
INCOMPLETE = "usage_incomplete"
MALFORMED = "usage_malformed"
PARTS_ABOVE_WHOLE = "parts_above_whole"
PARTS_BESIDE_WHOLE = "parts_beside_whole"
PARTS_WITHIN_WHOLE = "parts_within_whole"
THOUGHTS_IN_TOTAL_ALONE = "thoughts_in_total_alone"
TOTAL_ABOVE_PARTS = "total_above_parts"
TOTAL_BELOW_PARTS = "total_below_parts"

AS_DOCUMENTED = ""
"""No anomaly: a vendor's own and known way to count."""


class Path(NamedTuple):
    """Where a count stands: the members that lead to it. With `entry`, the first leads to a list,
    and what its objects tell whose member is (or, with `is_other`, is not) that value is added up.
    """

    first: str
    others: tuple[str, ...] = ()
    entry: tuple[str, str] | None = None
    is_other: bool = False


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One counter: the class it is counted as, and where it stands: the first path that tells.

    `within`: the whole that includes it; None: it is counted beside them. Parts are taken off their
    whole in the order of the rows. `less` is taken off the count first. `above` names the anomaly
    of a part that is more than what is left of its whole.
    What a total may show (see `usage_totals`): `beside_as`, the anomaly of a part that lies beside
    its whole; `is_beside_above`, that it does where it is more than that. Of a counter beside the
    wholes: `inside`, the whole that may include it; `is_beside_total`, that the total may leave it
    out.
    Rows beside the wholes that tell one class in several ways are not added: the largest counts.
    """

    kind: str
    paths: tuple[Path, ...]
    within: Whole | None = None
    less: Path | None = None
    above: str = ""
    beside_as: str | None = None
    is_beside_above: bool = False
    inside: Whole | None = None
    is_beside_total: bool = False
    first_members: frozenset[str] = frozenset()
    """Those with which its paths begin: a usage without any of them does not tell the counter."""

    def __post_init__(self) -> None:
        firsts = frozenset(place.first for place in self.paths)
        msgspec.structs.force_setattr(self, "first_members", firsts)


class UsageTable(msgspec.Struct, frozen=True, kw_only=True):
    """All counters of a format.

    `output_left_out`: whether a vendor leaves out the output where there was none, and how we know.
    `without_input`: the anomaly of a usage that does not tell the input; None: it tells of nothing.
    `hides_thoughts`: whether some vendors tell thoughts in the total alone.
    `keeps_total_below`: a total below its wholes is odd, but does not make them unbelievable.
    `member` reads a member, whatever its spelling; None where there is none.
    """

    wholes: Mapping[Whole, tuple[Path, ...]]
    rows: tuple[Row, ...]
    total: tuple[Path, ...] = ()
    output_left_out: Literal["never", "where_total_tells", "always"] = "never"
    without_input: str | None = INCOMPLETE
    hides_thoughts: bool = False
    keeps_total_below: bool = False
    member: Callable[[dict[str, Any], str], Any] = dict[str, Any].get


def path(dotted: str) -> Path:
    """The path of a count by the names that lead to it."""
    first, *others = dotted.split(".")
    return Path(first, tuple(others))


def paths(*dotted: str) -> tuple[Path, ...]:
    """Several places of one count, the most trusted first."""
    return tuple(map(path, dotted))
